/** The audit log with what was rotated away (log-parts.ts), read from its oldest line to its newest in bounded memory. */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { createError, reasonOf } from '../errors.js';
import { areSameParts, type LogPart, listLogParts } from './log-parts.js';

/** Longer than any that the agent writes: audit.max_line_bytes has this for its bound. */
const MAX_LINE_BYTES = 65_536;
/** More are not held open; what is older is left out. */
const MAX_FILES = 500;
const NEWLINE = 10;

export interface AuditFile {
  path: string;
  /** Milliseconds since 1970: nothing in it is newer. */
  modifiedMs: number;
}

export interface AuditFiles {
  /** Oldest first. */
  readonly files: readonly AuditFile[];
  /** Whole lines without their newline; those of files last written before `sinceMs` are left out. */
  lines(sinceMs?: number): AsyncGenerator<string, void, undefined>;
  /** What could not be read: of a damaged archive, lines too long to be any of the agent's. */
  problems(): readonly string[];
  close(): Promise<void>;
}

/**
 * All files are opened before the first is read, so that a rotation meanwhile neither hides a line nor shows one twice.
 * @throws ERR_NO_AUDIT_LOG when there is none, or none that may be read
 */
export async function openAuditFiles(path: string): Promise<AuditFiles> {
  const opened = await openAll(path);
  const problems: string[] = [];
  return {
    files: opened.map(({ path: name, modifiedMs }) => ({ path: name, modifiedMs })),
    async *lines(sinceMs = Number.NEGATIVE_INFINITY) {
      for (const { path: name, handle, modifiedMs } of opened) {
        if (modifiedMs < sinceMs) continue;
        try {
          yield* linesOf(contentOf(name, handle), (problem) => problems.push(`${name}: ${problem}`));
        } catch (error) {
          problems.push(`${name}: ${reasonOf(error)}`);
        }
      }
    },
    problems: () => problems,
    close: () => closeAll(opened),
  };
}

interface OpenFile extends AuditFile {
  handle: FileHandle;
}

const MOST_TURNS = 5;

async function openAll(path: string): Promise<OpenFile[]> {
  for (let turn = 1; ; turn++) {
    const listed = listAuditFiles(path);
    const opened = await openEach(path, listed);
    // A rotation between the two may have hidden a file, or shown one twice.
    if (turn === MOST_TURNS || areSameParts(listAuditFiles(path), listed)) return opened;
    await closeAll(opened);
  }
}

async function openEach(path: string, listed: readonly LogPart[]): Promise<OpenFile[]> {
  const opened: OpenFile[] = [];
  let failure: unknown;
  for (const { path: name, modifiedMs } of listed) {
    try {
      opened.push({ path: name, modifiedMs, handle: await open(name, 'r') });
    } catch (error) {
      failure = error;
    }
  }
  if (opened.length === 0) {
    const reason = failure === undefined ? 'there is no such file' : reasonOf(failure);
    throw createError('ERR_NO_AUDIT_LOG', { path, reason }, { cause: failure });
  }
  return opened;
}

async function closeAll(opened: readonly OpenFile[]): Promise<void> {
  await Promise.all(opened.map(({ handle }) => handle.close().catch(() => {})));
}

/** Oldest first, the log itself last; at most MAX_FILES. */
export function listAuditFiles(path: string): LogPart[] {
  const parts = listLogParts(path);
  const names = new Set(parts.map((part) => part.path));
  // While a file is being compressed there are both: the whole one has the lines for sure.
  const each = parts.filter((part) => !(part.path.endsWith('.gz') && names.has(part.path.slice(0, -3))));
  if (each.some(({ firstCheckpoint }) => firstCheckpoint !== undefined)) return each.slice(-MAX_FILES);
  // Nothing in them tells their order, and in their names the highest number may be the oldest or the newest.
  const rotated = each.filter((part) => part.path !== path).sort((a, b) => a.modifiedMs - b.modifiedMs);
  return [...rotated, ...each.filter((part) => part.path === path)].slice(-MAX_FILES);
}

function contentOf(path: string, handle: FileHandle): Readable {
  const file = createReadStream(path, { fd: handle, autoClose: false, highWaterMark: 262_144, start: 0 });
  if (!path.endsWith('.gz')) return file;
  const unzipped = createGunzip();
  file.once('error', (error) => unzipped.destroy(error));
  return file.pipe(unzipped);
}

/** A last line without a newline is being written, or was cut by a crash: it is no line. */
async function* linesOf(
  content: Readable,
  onProblem: (problem: string) => void,
): AsyncGenerator<string, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  let skipping = false;
  for await (const chunk of content as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
      if (!skipping && at > from) yield bytes.toString('utf8', from, at);
      skipping = false;
      from = at + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > MAX_LINE_BYTES) {
      if (!skipping) onProblem('a line longer than 64 KiB is left out');
      skipping = true;
      rest = Buffer.alloc(0);
    }
  }
}
