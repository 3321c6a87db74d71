import { ioctls, LOOP_CTL_REMOVE } from './ioctl.js';
import { host } from './shell.js';
import { eventually } from './wait.js';

/** Removes a loop device by its number, as soon as udevd has closed it: until then the kernel refuses. */
export async function removeDevice(number: number): Promise<void> {
  await eventually(`loop${number} is removed`, async () => {
    const answer = await host(ioctls('/dev/loop-control', [[LOOP_CTL_REMOVE, number]]));
    return answer !== 'EBUSY';
  });
}
