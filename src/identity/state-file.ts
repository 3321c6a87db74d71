/** Files that a runtime keeps of its containers. Parts of them a container's owner chose: bounded, and never trusted. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** Undefined if it is not there, is no regular file, or is larger. */
export function readStateFile(path: string, maxBytes: number): string | undefined {
  const bytes = readBounded(path, maxBytes);
  return bytes?.toString('utf8');
}

/** Undefined also for what is no JSON. */
export function readStateJson(path: string, maxBytes: number): unknown {
  const text = readStateFile(path, maxBytes);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A string at the end of the keys; undefined for anything else. */
export function textAt(value: unknown, ...keys: string[]): string | undefined {
  let at = value;
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return typeof at === 'string' && at !== '' ? at.slice(0, MAX_TEXT_LENGTH) : undefined;
}

export const MAX_TEXT_LENGTH = 512;

function readBounded(path: string, maxBytes: number): Buffer | undefined {
  let file: number | undefined;
  try {
    // Not blocking: a FIFO would never be opened else.
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const status = fstatSync(file);
    if (!status.isFile() || status.size > maxBytes) return undefined;
    const bytes = Buffer.alloc(status.size);
    let length = 0;
    while (length < bytes.length) {
      const read = readSync(file, bytes, length, bytes.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return bytes.subarray(0, length);
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
