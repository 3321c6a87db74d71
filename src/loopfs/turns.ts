/** Calls that a container can keep from ever returning, by an image on a file system of its own: each costs a thread. */
import { setTimeout as delay } from 'node:timers/promises';
import { createErrnoError, ERRNO } from './errno.js';

/** Less than what a caller waits for its ioctl. */
const DEADLINE_MS = 4000;

/** Rejects with EIO past the deadline, and, while such a call still has not returned, at once. */
export type Turns = <T>(call: () => Promise<T>) => Promise<T>;

/** For one container: one call at a time, in the order of asking. */
export function takeTurns(deadlineMs = DEADLINE_MS): Turns {
  let stuck = false;
  let last: Promise<unknown> = Promise.resolve();
  const late = (): Error => createErrnoError('a call that has not returned', ERRNO.EIO);

  const bounded = async <T>(call: () => Promise<T>): Promise<T> => {
    if (stuck) throw late();
    const timer = new AbortController();
    const deadline = delay(deadlineMs, undefined, { signal: timer.signal }).then(() => {
      stuck = true;
      throw late();
    });
    deadline.catch(() => {});
    const result = call();
    const ended = (): void => {
      stuck = false;
    };
    result.then(ended, ended);
    try {
      return await Promise.race([result, deadline]);
    } finally {
      timer.abort();
    }
  };

  return (call) => {
    const turn = last.then(() => bounded(call));
    last = turn.catch(() => {});
    return turn;
  };
}
