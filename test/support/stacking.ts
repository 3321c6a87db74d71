/** A container's device and one of the host's, for what stands on them. */
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { tempImage } from './image.js';
import { host, openContainer } from './shell.js';
import { type Stage, setStage } from './stage.js';

const SECTORS = 2048;

/** A line of a table: the beginning of `path`, from sector `from` of the device on. */
export const linear = (path: string, from = 0): string => `${from} ${SECTORS} linear ${path} 0`;

/** `add` of `add dm-0`. */
export const actions = (events: string[]): string[] => events.map((event) => event.split(' ')[0] ?? '');

/** A stage with udevd, a device that a container has attached, and one of the host's. */
export async function setDevices(t: TestContext): Promise<{ stage: Stage; theirs: string; ours: string }> {
  const stage = await setStage(t, { udevd: true });
  const [theirs, ours] = [stage.device(35_001), stage.device(35_002)];
  const box = await openContainer();
  defer(t, () => box.leave());
  await box.run(`losetup ${theirs} ${stage.image}`);
  await host(`losetup ${ours} ${tempImage(t)}; udevadm settle`);
  return { stage, theirs, ours };
}
