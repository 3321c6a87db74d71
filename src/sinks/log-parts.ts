/** The files of one audit log: the one that is written, and those that were rotated away. */
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { constants, gunzipSync } from 'node:zlib';
import { isCheckpointLine, parseCheckpoint, type SignedCheckpoint } from './checkpoint.js';

export interface LogPart {
  path: string;
  identity: string;
  sizeBytes: number;
  modifiedMs: number;
  /** Number of (one of) the first checkpoints in it; undefined if its beginning has none. */
  firstCheckpoint?: number;
}

/** Enough for what may stand before the first checkpoint of a file. */
const HEAD_BYTES = 16 << 20;
const GLANCE_BYTES = 65_536;
const NEWLINE = 0x0a;

/** How a file is placed among the others. */
export interface PartSearch {
  /** Whether a checkpoint counts. */
  accept: (parsed: SignedCheckpoint) => boolean;
  /** The median of so many first ones is taken, so that one that was moved does not move its file. */
  samples: number;
}
const TRUSTING: PartSearch = { accept: () => true, samples: 1 };

/** Ours are `audit.ndjson.17`, higher is newer; logrotate's `audit.ndjson.1`, `.2.gz`, `-20260101` are known, too. */
export function isPartName(name: string, base: string): boolean {
  return name.startsWith(base) && /^[.-]\d[\d-]*(?:\.gz)?$/.test(name.slice(base.length));
}

/**
 * The files of the log at `path`, oldest first; it need not exist itself. Ordered by the checkpoints in them, not by their
 * names, which others may have given; those without one were written before there were any.
 */
export function listLogParts(path: string, search = TRUSTING): LogPart[] {
  const rotated = rotatedNames(path).map((name) => join(dirname(path), name));
  const parts = orderParts(rotated.flatMap((each) => describePart(each, search)));
  return [...parts, ...describePart(path, search)];
}

/** Of files that were named one by one. */
export function orderParts(parts: readonly LogPart[]): LogPart[] {
  const ordered = parts
    .filter(({ firstCheckpoint }) => firstCheckpoint !== undefined)
    .sort((a, b) => (a.firstCheckpoint ?? 0) - (b.firstCheckpoint ?? 0) || a.modifiedMs - b.modifiedMs);
  const isOurs = ordered.every((part, at) => numberOf(part) > numberOf(ordered[at - 1]));
  const others = parts
    .filter((part) => !ordered.includes(part))
    .sort((a, b) => a.modifiedMs - b.modifiedMs)
    .reverse();
  // One that was emptied, or whose checkpoints are gone: where names tell of an order, it is where its name says.
  for (const part of others) {
    const after = isOurs ? ordered.findIndex((each) => numberOf(each) > numberOf(part)) : 0;
    ordered.splice(after === -1 ? ordered.length : after, 0, part);
  }
  return ordered;
}

/** The one in its name. The file that is written has none, and is the newest. */
function numberOf(part: LogPart | undefined): number {
  if (part === undefined) return 0;
  return Number(/\.(\d{1,9})(?:\.gz)?$/.exec(part.path)?.[1] ?? Number.POSITIVE_INFINITY);
}

/** None if there is no such regular file (any more). @throws the errno of a file that cannot be read */
export function describePart(path: string, search = TRUSTING): LogPart[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile()) return [];
  let firstCheckpoint: number | undefined;
  try {
    firstCheckpoint = firstCheckpointOf(path, search);
  } catch (error) {
    // Renamed or removed since: a running agent rotates.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return [
    {
      path,
      identity: `${stat.dev}:${stat.ino}`,
      sizeBytes: stat.size,
      modifiedMs: stat.mtimeMs,
      ...(firstCheckpoint !== undefined && { firstCheckpoint }),
    },
  ];
}

/** Whether a log that was listed twice had the same files in the same order: no rotation came between. */
export function areSameParts(a: readonly LogPart[], b: readonly LogPart[]): boolean {
  return a.length === b.length && a.every(({ identity }, at) => identity === b[at]?.identity);
}

/** What the next file that is rotated away is called. */
export function nextPartPath(path: string): string {
  const numbers = rotatedNames(path).map((name) => Number(/\.(\d{1,9})(?:\.gz)?$/.exec(name)?.[1] ?? 0));
  return `${path}.${Math.max(0, ...numbers) + 1}`;
}

function rotatedNames(path: string): string[] {
  try {
    return readdirSync(dirname(path)).filter((name) => isPartName(name, basename(path)));
  } catch {
    return [];
  }
}

function firstCheckpointOf(path: string, { accept, samples }: PartSearch): number | undefined {
  let numbers: number[] = [];
  // Nearly always the first line.
  for (const limit of [GLANCE_BYTES, HEAD_BYTES]) {
    const head = readHead(path, limit);
    numbers = [];
    for (
      let from = 0, to = head.indexOf(NEWLINE);
      to !== -1;
      from = to + 1, to = head.indexOf(NEWLINE, from)
    ) {
      const line = head.subarray(from, to + 1);
      const parsed = isCheckpointLine(line) ? parseCheckpoint(line) : undefined;
      if (parsed !== undefined && accept(parsed)) numbers.push(parsed.checkpoint.n);
      if (numbers.length === samples) break;
    }
    if (head.length < limit || numbers.length === samples) break;
  }
  return numbers.sort((a, b) => a - b)[(numbers.length - 1) >> 1];
}

function readHead(path: string, limit: number): Buffer {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Math.min(limit, fstatSync(fd).size));
    const head = bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
    if (!path.endsWith('.gz')) return head;
    // Cut off in the middle: what there is.
    return gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: HEAD_BYTES * 4 });
  } catch {
    return Buffer.alloc(0);
  } finally {
    closeSync(fd);
  }
}
