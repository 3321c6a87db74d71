/** Whether the loop driver is there for the programs to read: built in, or its module loaded. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { createError } from '../errors.js';

/** Also where it is built in. */
const DRIVER = '/sys/module/loop';
const CONTROL = '/dev/loop-control';

/**
 * Loads the module if it is missing, as the first losetup would: opening loop-control has the kernel ask for it.
 * @throws ERR_NO_LOOP_DRIVER
 */
export function ensureLoopDriver(): void {
  if (existsSync(DRIVER)) return;
  try {
    closeSync(openSync(CONTROL, 'r'));
  } catch {
    // Told below, with what to do.
  }
  if (!existsSync(DRIVER)) throw createError('ERR_NO_LOOP_DRIVER', { path: CONTROL });
}
