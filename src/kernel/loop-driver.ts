/** Whether the loop driver is there for the programs to read: built in, or its module loaded. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Also where it is built in. */
export const LOOP_DRIVER = '/sys/module/loop';
const CONTROL = '/dev/loop-control';
/** As long as it is not there, no loop device is either; one made in this moment is taken for the host's. */
const POLL_MS = 100;

/**
 * Loads the module if it is missing, as the first losetup would: opening loop-control has the kernel ask for it. Where
 * it is not installed or forbidden, waits for whoever loads it. False: `stop` came first.
 */
export async function waitForLoopDriver(stop: AbortSignal, onWaiting: () => void): Promise<boolean> {
  if (existsSync(LOOP_DRIVER)) return true;
  try {
    closeSync(openSync(CONTROL, 'r'));
  } catch {
    // Then there is something to wait for.
  }
  if (!existsSync(LOOP_DRIVER)) onWaiting();
  while (!existsSync(LOOP_DRIVER)) {
    if (stop.aborted) return false;
    await delay(POLL_MS);
  }
  return true;
}
