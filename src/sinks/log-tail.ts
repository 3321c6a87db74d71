/** What the end of an audit log says was written: an agent that was killed may have left the same records in the ring. */
import { closeSync, fstatSync, openSync, readSync, statSync, truncateSync } from 'node:fs';

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

/** The keys of the lines that a record brought; empty if there is no such file, or it is no regular one. */
export function readWrittenKeys(path: string): Set<string> {
  const text = readTail(path);
  const lines = text.matchAll(
    /"boot_ns":(\d+),"kind":"(?:ioctl|life|uevent)"[^\n]*?"caller":\{"pid":\d+,"tid":(\d+)[^\n]*\}\n/g,
  );
  return new Set([...lines].map(([, bootNs, tid]) => `${bootNs}:${tid}`));
}

function readTail(path: string): string {
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
    const bytes = Buffer.alloc(Math.min(stat.size, TAIL_BYTES));
    readSync(fd, bytes, 0, bytes.length, stat.size - bytes.length);
    return bytes.toString('latin1');
  } finally {
    closeSync(fd);
  }
}
