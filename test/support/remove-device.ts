import { constants } from 'node:os';
import { loadNative } from '../../src/kernel/native.js';
import { LOOP_CTL_REMOVE } from './ioctl.js';
import { eventually } from './wait.js';

/** Removes a loop device by its number, if there is one, as soon as udevd has closed it: until then the kernel refuses. */
export async function removeDevice(number: number): Promise<void> {
  const native = loadNative();
  await eventually(
    `loop${number} is removed`,
    () => native.ioctl('/dev/loop-control', LOOP_CTL_REMOVE, number) !== -constants.errno.EBUSY,
  );
}
