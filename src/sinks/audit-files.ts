/**
 * The audit log with what was rotated away, read from its oldest line to its newest in bounded memory.
 *
 * Rotated files are `audit.ndjson.N`, the higher the older, `.gz` when they are compressed.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { createError, reasonOf } from '../errors.js';

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
    async close() {
      await Promise.all(opened.map(({ handle }) => handle.close().catch(() => {})));
    },
  };
}

interface OpenFile extends AuditFile {
  handle: FileHandle;
}

async function openAll(path: string): Promise<OpenFile[]> {
  const opened: OpenFile[] = [];
  const seen = new Set<string>();
  let failure: unknown;
  // The newest first: while the files are renamed to higher numbers, one may be met again, but none is missed.
  for (const name of (await listAuditFiles(path)).reverse()) {
    try {
      const handle = await open(name, 'r');
      const { dev, ino, mtimeMs, isRegular } = await statOf(handle);
      if (isRegular && !seen.has(`${dev}:${ino}`)) opened.push({ path: name, handle, modifiedMs: mtimeMs });
      else await handle.close();
      seen.add(`${dev}:${ino}`);
    } catch (error) {
      failure = error;
    }
  }
  if (opened.length === 0) {
    const reason = failure === undefined ? 'there is no such file' : reasonOf(failure);
    throw createError('ERR_NO_AUDIT_LOG', { path, reason }, { cause: failure });
  }
  return opened.reverse();
}

async function statOf(handle: FileHandle) {
  const stat = await handle.stat();
  return { dev: stat.dev, ino: stat.ino, mtimeMs: stat.mtimeMs, isRegular: stat.isFile() };
}

/** Paths, oldest first; the log itself is the last, also where it is not there. At most MAX_FILES. */
export async function listAuditFiles(path: string): Promise<string[]> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  const names = await readdir(folder).catch(() => [] as string[]);
  const rotated = names
    .flatMap((name) => {
      const match = name.startsWith(prefix) ? /^(\d{1,9})(\.gz)?$/.exec(name.slice(prefix.length)) : null;
      return match ? [{ name, age: Number(match[1]), zipped: match[2] !== undefined }] : [];
    })
    // While a file is being compressed there are both: the whole one first, which has the lines for sure.
    .sort((a, b) => b.age - a.age || Number(a.zipped) - Number(b.zipped))
    .filter(({ age }, at, all) => age !== all[at - 1]?.age)
    .map(({ name }) => join(folder, name));
  return [...rotated, path].slice(-MAX_FILES);
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
