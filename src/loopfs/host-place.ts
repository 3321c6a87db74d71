/** The folder of the host that the host's own instance is mounted on: made for it, and removed after it. */
import { lstatSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { createError, reasonOf } from '../errors.js';
import { type MountEntry, readMounts } from '../kernel/mountinfo.js';
import type { LoopfsModule } from './native.js';

/** Takes the detached mount; the descriptor stays the caller's. @throws ERR_HOST_PLACE */
export function takePlace(module: LoopfsModule, mountFd: number, path: string): void {
  try {
    makeFolder(module, path);
    module.placeHostMount(mountFd, path);
  } catch (error) {
    throw createError('ERR_HOST_PLACE', { path, reason: reasonOf(error) }, { cause: error });
  }
}

/** Takes away what is ours there, of this process or an earlier one, and nothing else. */
export function clearPlace(module: LoopfsModule, path: string): void {
  for (let top = topMount(module, path); top && isOurs(top); top = topMount(module, path))
    module.unmount(path);
  try {
    rmdirSync(path);
  } catch {
    // It has gone, or is used for something else.
  }
}

function makeFolder(module: LoopfsModule, path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (topMount(module, path) !== undefined) throw new Error('something is mounted there');
    if (!lstatSync(path).isDirectory()) throw new Error('it is no folder');
    if (readdirSync(path).length > 0) throw new Error('the folder is not empty');
  }
}

function isOurs({ type, source }: MountEntry): boolean {
  return type === 'fuse.loopfs' || (type === 'tmpfs' && source === 'loopfs-host');
}

/** The one that hides all others there: their order in the list is not that of their stack. */
function topMount(module: LoopfsModule, path: string): MountEntry | undefined {
  const there = readMounts(module.hostMountInfo()).filter(({ point }) => point === path);
  return there.find(({ id }) => there.every(({ parent }) => parent !== id));
}
