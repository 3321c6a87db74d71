/** Rotation of the audit log's file: when, how, and which files are then too many. */
import { rmSync } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { closeLogFile, type LogFile, openLogFile } from './log-file.js';
import { type LogPart, listLogParts, nextPartPath } from './log-parts.js';

export interface RotationLimits {
  /** A file that would grow beyond is rotated; 0: never for its size. */
  bytes: number;
  /** 0: never for its age. */
  ageMs: number;
  /** Most files beside the one that is written; 0: all. */
  keepFiles: number;
  /** Time after its last line; 0: for ever. */
  keepMs: number;
}

export const NO_ROTATION: RotationLimits = { bytes: 0, ageMs: 0, keepFiles: 0, keepMs: 0 };

export function rotates({ bytes, ageMs }: RotationLimits): boolean {
  return bytes > 0 || ageMs > 0;
}

/** `moreBytes` are to be written next. A file without lines is never due: `linesBytes` are those of its lines so far. */
export function isDue(file: LogFile, linesBytes: number, moreBytes: number, limits: RotationLimits): boolean {
  if (!file.regular || linesBytes === 0) return false;
  if (limits.bytes > 0 && file.sizeBytes + moreBytes > limits.bytes) return true;
  return limits.ageMs > 0 && performance.now() - file.madeAtMs >= limits.ageMs;
}

/**
 * Gives the file its number and puts a new one in its place; resolves with that. The new one is made first, so that a full
 * disk changes nothing. The old file stays open. If something else has moved it, only the new one is made.
 *
 * Rejects with ERR_AUDIT_LOG or the errno: then nothing has changed, or the file has its new name and no successor yet.
 */
export async function rotateFile(path: string, file: LogFile): Promise<LogFile> {
  const found = await identityOf(path);
  // Something else has rotated it, and put a new one there.
  if (found !== undefined && found !== file.identity) return openLogFile(path);
  const next = `${path}.next`;
  // Of a start that was killed here.
  await rm(next, { force: true });
  const fresh = await openLogFile(next);
  try {
    if (found !== undefined) await rename(path, nextPartPath(path));
    await rename(next, path);
  } catch (error) {
    await closeLogFile(fresh);
    throw error;
  }
  await syncFolder(dirname(path));
  return fresh;
}

/** What is beyond the limits, oldest first; never the newest part, which is being written. `nowMs` is of the wall clock. */
export function expiredParts(
  parts: readonly LogPart[],
  { keepFiles, keepMs }: RotationLimits,
  nowMs = Date.now(),
): LogPart[] {
  const rotated = parts.slice(0, -1);
  const tooMany = keepFiles === 0 ? 0 : Math.max(0, rotated.length - keepFiles);
  const tooOld = keepMs === 0 ? 0 : rotated.findIndex(({ modifiedMs }) => nowMs - modifiedMs <= keepMs);
  // From the oldest on without a hole, or the chain would have one.
  return rotated.slice(0, Math.max(tooMany, tooOld === -1 ? rotated.length : tooOld));
}

/** The parts of the log at `path` that are to go, and the first checkpoint of those that stay. */
export function planRetention(
  path: string,
  limits: RotationLimits,
): { expired: LogPart[]; oldest: number | undefined } {
  const parts = listLogParts(path);
  const expired = expiredParts(parts, limits);
  const stays = parts.slice(expired.length).find(({ firstCheckpoint }) => firstCheckpoint !== undefined);
  return { expired, oldest: stays?.firstCheckpoint };
}

export function removeParts(parts: readonly LogPart[]): void {
  for (const { path } of parts) rmSync(path, { force: true });
}

async function identityOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found && `${found.dev}:${found.ino}`;
}

/** So that the names survive a power cut. Some file systems have no such thing. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().catch(() => {});
  await folder.close();
}
