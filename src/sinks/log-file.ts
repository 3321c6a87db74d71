/** The file under the audit log. */
import { close, constants, fdatasync, fstat, ftruncate, open, read, write } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { createError, reasonOf } from '../errors.js';
import { makeFolder } from './make-folder.js';

const openFd = promisify(open);
const closeFd = promisify(close);
const statFd = promisify(fstat);
const readFd = promisify(read);
const writeFd = promisify(write);
const syncFd = promisify(fdatasync);
const truncateFd = promisify(ftruncate);

export interface LogFile {
  fd: number;
  /** Names the file itself, so that a rotation can be told from a mere signal. */
  identity: string;
  /** The last line has no newline: a crash cut it. The next line must begin on its own. */
  torn: boolean;
  /** Whether it can be rotated, read back and made durable: no pipe, no device. */
  regular: boolean;
  sizeBytes: number;
  /**
   * When it was made, on the clock of `performance.now()`; a wall clock that was set since can make it as young as now. Where the
   * file system does not keep it (tmpfs before Linux 6.0): when it was last written before it was opened.
   */
  madeAtMs: number;
}

/** Opens for appending; makes a missing folder 0750 and a missing file 0600. @throws ERR_AUDIT_LOG */
export async function openLogFile(path: string): Promise<LogFile> {
  if (path === '-') return { fd: 1, identity: '-', torn: false, regular: false, sizeBytes: 0, madeAtMs: 0 };
  try {
    await makeFolder(dirname(path));
    // Non-blocking, so that a FIFO without a reader is an error and not a wait without end.
    const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
    const fd = await openFd(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o600);
    try {
      return { fd, ...(await describe(fd, path)) };
    } catch (error) {
      await closeFd(fd);
      throw error;
    }
  } catch (error) {
    throw createError('ERR_AUDIT_LOG', { path, reason: reasonOf(error) }, { cause: error });
  }
}

/** Bytes taken, which may be fewer than given. Rejects with the errno of the write. */
export async function appendTo(file: LogFile, bytes: Uint8Array): Promise<number> {
  const { bytesWritten } = await writeFd(file.fd, bytes, 0, bytes.length, null);
  return bytesWritten;
}

/** Resolves when everything written so far survives a power cut. Rejects with the errno of fdatasync. */
export async function syncLogFile(file: LogFile): Promise<void> {
  await syncFd(file.fd);
}

/** Takes bytes off the end. A file that only grows (chattr +a) keeps them. */
export async function cutLogFile(file: LogFile, bytes: number): Promise<void> {
  if (bytes === 0 || !file.regular) return;
  const { size } = await statFd(file.fd);
  await truncateFd(file.fd, size - bytes).catch(() => {});
}

/** Stdout stays open: it is not ours. */
export async function closeLogFile(file: LogFile): Promise<void> {
  if (file.identity !== '-') await closeFd(file.fd);
}

async function describe(fd: number, path: string): Promise<Omit<LogFile, 'fd'>> {
  const stat = await statFd(fd);
  const regular = stat.isFile();
  const torn = regular && stat.size > 0 && (await lastByte(path, stat.size)) !== 0x0a;
  return {
    identity: `${stat.dev}:${stat.ino}`,
    torn,
    regular,
    sizeBytes: regular ? stat.size : 0,
    madeAtMs: performance.now() - Math.max(0, Date.now() - (stat.birthtimeMs || stat.mtimeMs)),
  };
}

async function lastByte(path: string, size: number): Promise<number | undefined> {
  const fd = await openFd(path, 'r');
  try {
    const byte = new Uint8Array(1);
    await readFd(fd, byte, 0, 1, size - 1);
    return byte[0];
  } finally {
    await closeFd(fd);
  }
}
