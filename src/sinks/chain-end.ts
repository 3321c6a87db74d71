/**
 * Where the chain of checkpoints goes on when an agent starts: after the last checkpoint of the log that its key signed,
 * or after the one that the state beside the key names, if the log has lost that.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { AuditKey } from './audit-key.js';
import type { ChainState } from './chain-state.js';
import {
  type Checkpoint,
  checkpointDigest,
  isSignedBy,
  parseCheckpoint,
  type SignedCheckpoint,
} from './checkpoint.js';
import { listLogParts } from './log-parts.js';

export interface ChainEnd {
  /** Undefined: a new one begins. */
  chain?: string;
  /** Number of the last checkpoint; 0 if there is none. */
  n: number;
  prev?: string;
  oldest?: number;
  /** What stands after it, in its order: it was written by an agent that could not sign it any more. */
  tail: readonly FileRange[];
}

export interface FileRange {
  path: string;
  fromByte: number;
}

interface Found {
  checkpoint: Checkpoint;
  line: Buffer;
  endByte: number;
}

const FIRST_WINDOW_BYTES = 1 << 20;
const MARK = '"kind":"checkpoint"';
const NEWLINE = 0x0a;

export function readChainEnd(path: string, key: AuditKey, state: ChainState | undefined): ChainEnd {
  const parts = listLogParts(path).filter((part) => !part.path.endsWith('.gz'));
  let tail: FileRange[] = [];
  let found: Found | undefined;
  for (const part of parts.toReversed()) {
    found = findLast(part.path, key);
    tail.unshift({ path: part.path, fromByte: found?.endByte ?? 0 });
    if (found !== undefined) break;
  }
  // Nothing was ever signed: files that were rotated away before stay as they are.
  if (found === undefined) tail = tail.filter((range) => range.path === path);
  const last = state === undefined ? undefined : stateEnd(state, key, path);
  if (found === undefined) return last === undefined ? { n: 0, tail } : { ...last, tail };
  const { chain, n, oldest } = found.checkpoint;
  // The log has lost its end: the numbers go on where they were, so that what is missing shows.
  const isBehind = last !== undefined && (last.chain !== chain || last.n > n);
  const end = isBehind ? last : { chain, n, ...(oldest !== undefined && { oldest }) };
  return { ...end, prev: checkpointDigest(found.line), tail };
}

/** Calls `take` with the bytes of a file from an offset to its end, in pieces that end with a line where they can. */
export function readRange({ path, fromByte }: FileRange, take: (bytes: Buffer, lines: number) => void): void {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    for (let at = fromByte; at < size; ) {
      const bytes = Buffer.alloc(Math.min(FIRST_WINDOW_BYTES, size - at));
      const count = readSync(fd, bytes, 0, bytes.length, at);
      if (count === 0) break;
      const read = bytes.subarray(0, count);
      const whole = at + count < size ? read.subarray(0, read.lastIndexOf(NEWLINE) + 1 || count) : read;
      take(whole, countLines(whole));
      at += whole.length;
    }
  } finally {
    closeSync(fd);
  }
}

function stateEnd(
  { path: of, line }: ChainState,
  key: AuditKey,
  path: string,
): Omit<ChainEnd, 'tail'> | undefined {
  const parsed = of === path ? parseCheckpoint(line) : undefined;
  if (parsed === undefined || !isOurs(parsed, key)) return undefined;
  const { chain, n, oldest } = parsed.checkpoint;
  return { chain, n, prev: checkpointDigest(line), ...(oldest !== undefined && { oldest }) };
}

/** From the end backwards, in ever larger windows: it is within the last batch. */
function findLast(path: string, key: AuditKey): Found | undefined {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    for (let window = FIRST_WINDOW_BYTES; ; window *= 4) {
      const start = Math.max(0, size - window);
      const bytes = Buffer.alloc(size - start);
      readSync(fd, bytes, 0, bytes.length, start);
      const found = findIn(bytes, start, key);
      if (found !== undefined || start === 0) return found;
    }
  } finally {
    closeSync(fd);
  }
}

function findIn(bytes: Buffer, start: number, key: AuditKey): Found | undefined {
  let at = bytes.lastIndexOf(MARK);
  while (at !== -1) {
    const from = bytes.lastIndexOf(NEWLINE, at) + 1;
    // It begins before the window.
    if (from === 0 && start > 0) return undefined;
    const to = bytes.indexOf(NEWLINE, at);
    const line = bytes.subarray(from, to + 1);
    const parsed = to === -1 ? undefined : parseCheckpoint(line);
    if (parsed !== undefined && isOurs(parsed, key))
      return { checkpoint: parsed.checkpoint, line, endByte: start + to + 1 };
    at = from === 0 ? -1 : bytes.lastIndexOf(MARK, from - 1);
  }
  return undefined;
}

/** A line that somebody else made is a line like others: it must not lead the numbers astray. */
function isOurs(parsed: SignedCheckpoint, { publicKeys }: AuditKey): boolean {
  const key = publicKeys.get(parsed.checkpoint.key);
  return key !== undefined && isSignedBy(parsed, key);
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}
