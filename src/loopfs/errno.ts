/** Errors that end as an errno at a container's system call. */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';

export const ERRNO = constants.errno;

export interface ErrnoError extends Error {
  /** Positive. */
  errno: number;
  code: string;
}

export function createErrnoError(operation: string, errno: number): ErrnoError {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${operation}: ${code}`), { errno, code });
}

/** Positive; EIO for whatever was thrown without one. */
export function errnoOf(error: unknown): number {
  const { errno } = (error ?? {}) as { errno?: unknown };
  return typeof errno === 'number' && errno !== 0 ? Math.abs(errno) : ERRNO.EIO;
}
