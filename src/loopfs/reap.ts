/** What is left of an instance that has ended: its devices are detached and removed. */
import { setTimeout as delay } from 'node:timers/promises';
import type { DeviceBroker } from './broker.js';
import { ERRNO, errnoOf } from './errno.js';

export interface ReapOutcome {
  removed: number[];
  /** Still open somewhere, or refused by the kernel. */
  left: { number: number; errno: number }[];
}

const RETRY_MS = 50;

/** Tries each until `deadlineMs` from now; the file behind it is let go of at once, even where others have it open. */
export async function reapDevices(
  broker: DeviceBroker,
  numbers: readonly number[],
  deadlineMs: number,
): Promise<ReapOutcome> {
  const endMs = performance.now() + deadlineMs;
  const outcome: ReapOutcome = { removed: [], left: [] };
  for (const number of numbers) {
    const errno = await reapOne(broker, number, endMs);
    if (errno === 0) outcome.removed.push(number);
    else outcome.left.push({ number, errno });
  }
  return outcome;
}

async function reapOne(broker: DeviceBroker, number: number, endMs: number): Promise<number> {
  for (;;) {
    if (!broker.exists(number)) return 0;
    try {
      if (broker.isBound(number)) await broker.detach(number).catch(ignoreDetached);
      await broker.remove(number);
      return 0;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === ERRNO.ENODEV) return 0;
      if (errno !== ERRNO.EBUSY || performance.now() > endMs) return errno;
    }
    await delay(RETRY_MS);
  }
}

function ignoreDetached(error: unknown): void {
  if (errnoOf(error) !== ERRNO.ENXIO) throw error;
}
