/** Waiting for something to become so. */
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;

/** Resolves with the first value that is not undefined or false. @throws naming `what` after `limitMs`, and when `stop` comes */
export async function eventually<T>(
  what: string,
  read: () => T | undefined | false | Promise<T | undefined | false>,
  { limitMs = 20_000, stop }: { limitMs?: number; stop?: AbortSignal | undefined } = {},
): Promise<T> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    stop?.throwIfAborted();
    const value = await read();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`not within ${limitMs / 1000} s: ${what}`);
    await delay(POLL_MS, undefined, stop === undefined ? {} : { signal: stop });
  }
}
