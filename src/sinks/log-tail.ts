/** What the end of an audit log says was written: an agent that was killed may have left the same records in the ring. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** More than the lines of a full ring of the default size. */
const TAIL_BYTES = 16 << 20;

/** Names one record: no thread makes two in one nanosecond. */
export function recordKey(bootNs: bigint, tid: number): string {
  return `${bootNs}:${tid}`;
}

/** The keys of the lines that a record brought; empty if there is no such file, or it is no regular one. */
export function readWrittenKeys(path: string): Set<string> {
  const text = readTail(path);
  const lines = text.matchAll(
    /"boot_ns":(\d+),"kind":"(?:ioctl|life|uevent)"[^\n]*?"caller":\{"pid":\d+,"tid":(\d+)/g,
  );
  return new Set([...lines].map(([, bootNs, tid]) => `${bootNs}:${tid}`));
}

function readTail(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return '';
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return '';
    const bytes = Buffer.alloc(Math.min(stat.size, TAIL_BYTES));
    readSync(fd, bytes, 0, bytes.length, stat.size - bytes.length);
    return bytes.toString('latin1');
  } finally {
    closeSync(fd);
  }
}
