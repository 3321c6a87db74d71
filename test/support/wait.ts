/** Waiting for something to become true, never for a time to pass. */
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 10;

/** How much longer everything may take: for machines that are emulated (test/vm). */
export const SLOWNESS = Number(process.env.LOOPWARDEN_TEST_SLOW ?? 1);
// Not for the agent, which refuses a name with its prefix that it does not know.
delete process.env.LOOPWARDEN_TEST_SLOW;

/** Resolves with the first value that is not undefined or false. @throws naming `what` after `deadlineMs` */
export async function eventually<T>(
  what: string,
  read: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 15_000,
): Promise<T> {
  const limitMs = deadlineMs * SLOWNESS;
  const endMs = performance.now() + limitMs;
  for (;;) {
    const value = await read();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await delay(POLL_MS);
  }
}
