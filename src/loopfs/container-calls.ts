/** Calls into a container's file systems: bounded in time, their errnos put into words. */
import { setTimeout as delay } from 'node:timers/promises';
import { createError, LoopwardenError, reasonOf } from '../errors.js';
import type { NativeError } from '../kernel/native.js';

/** A file system that the container serves itself may never answer; the thread that waits for it is then lost. */
const DEADLINE_MS = 5000;

const WORDS: Readonly<Record<string, string>> = {
  EROFS: 'its /dev is read-only',
  ENOENT: 'it has no /dev',
  EEXIST: 'there is a node of its own',
  ELOOP: 'a symlink is in the way',
  ENOTDIR: 'a file is in the way',
  ESRCH: 'the process is gone',
};

/** @throws ERR_CONTAINER_DEV */
export type Attempt = <T>(start: () => Promise<T>) => Promise<T>;

/** For one container: after a call that never came back nothing more is tried there. */
export function boundCalls(): Attempt {
  let stuck = false;
  return async (start) => {
    if (stuck) throw createError('ERR_CONTAINER_DEV', { reason: 'an earlier call still waits for it' });
    const timer = new AbortController();
    const deadline = delay(DEADLINE_MS, undefined, { signal: timer.signal }).then(() => {
      stuck = true;
      throw createError('ERR_CONTAINER_DEV', { reason: `no answer within ${DEADLINE_MS} ms` });
    });
    deadline.catch(() => {});
    try {
      return await Promise.race([start(), deadline]);
    } catch (error) {
      throw error instanceof LoopwardenError ? error : devError(error);
    } finally {
      timer.abort();
    }
  };
}

function devError(error: unknown): LoopwardenError {
  const words = WORDS[(error as NativeError).code];
  const reason = words === undefined ? reasonOf(error) : `${words} (${reasonOf(error)})`;
  return createError('ERR_CONTAINER_DEV', { reason }, { cause: error });
}
