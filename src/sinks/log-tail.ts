/** What the end of an audit log says was written: an agent that was killed may have left the same records in the ring. */
import { closeSync, fstatSync, openSync, readSync, statSync, truncateSync } from 'node:fs';
import { listLogParts } from './log-parts.js';

/** More than the lines of a full ring of the default size. */
const TAIL_BYTES = 16 << 20;

/** Names one record: no thread makes two in one nanosecond. */
export function recordKey(bootNs: bigint, tid: number): string {
  return `${bootNs}:${tid}`;
}

/**
 * Takes the beginning of a line off that an agent which was killed could not end: its record is still in the ring. A file
 * that only grows (chattr +a) keeps it.
 */
export function removeTornLine(path: string): void {
  const text = readTail(path);
  if (text === '' || text.endsWith('\n')) return;
  try {
    const whole = statSync(path).size - (text.length - 1 - text.lastIndexOf('\n'));
    truncateSync(path, whole);
  } catch {
    // The next line begins on its own all the same.
  }
}

/**
 * The keys of the lines that a record brought, in the log's last 16 MiB: it may have been rotated just before the end, so
 * files that were rotated away are read, too. Empty if there is no such file, or it is no regular one.
 */
export function readWrittenKeys(path: string): Set<string> {
  const keys = new Set<string>();
  let left = TAIL_BYTES;
  for (const part of listLogParts(path).toReversed()) {
    if (left <= 0) break;
    if (part.path.endsWith('.gz')) continue;
    const text = readTail(part.path, left);
    left -= text.length;
    for (const [, bootNs, tid] of text.matchAll(RECORD)) keys.add(`${bootNs}:${tid}`);
  }
  return keys;
}

const RECORD =
  /"boot_ns":(\d+),"kind":"(?:ioctl|life|uevent|aggregate)"[^\n]*?"caller":\{"pid":\d+,"tid":(\d+)[^\n]*\}\n/g;

function readTail(path: string, limit = TAIL_BYTES): string {
  let fd: number;
  try {
    // Of a FIFO this would wait for a writer.
    if (!statSync(path).isFile()) return '';
    fd = openSync(path, 'r');
  } catch {
    return '';
  }
  try {
    const stat = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(stat.size, limit));
    readSync(fd, bytes, 0, bytes.length, stat.size - bytes.length);
    return bytes.toString('latin1');
  } finally {
    closeSync(fd);
  }
}
