/** Waiting for something to become true, never for a time to pass. */
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 10;

/** Resolves with the first value that is not undefined or false. @throws naming `what` after `deadlineMs` */
export async function eventually<T>(
  what: string,
  read: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 15_000,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const value = await read();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await delay(POLL_MS);
  }
}
