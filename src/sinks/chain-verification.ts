/**
 * Verifies an audit log against its signed checkpoints, file by file as a stream. Nothing of a line's time is compared: a
 * clock may jump.
 *
 * A checkpoint with a good signature vouches for the lines since the one before (`hash`), and for that one's line (`prev`). So
 * each break is told once, with the lines between the nearest two checkpoints; what follows is judged by itself again.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { type BatchLine, inspectBatch } from './batch-inspection.js';
import type { ChainState } from './chain-state.js';
import {
  type Checkpoint,
  checkpointDigest,
  ENDS,
  isCheckpointLine,
  isSignedBy,
  NO_CHECKPOINT,
  parseCheckpoint,
  seqOf,
} from './checkpoint.js';
import { readLogLines } from './log-lines.js';
import type { LogPart, PartSearch } from './log-parts.js';
import type { Finding, FindingKind, LinePlace, VerificationReport } from './verification-report.js';

export interface VerificationOptions {
  /** In the order of writing. */
  parts: readonly LogPart[];
  publicKeys: ReadonlyMap<string, KeyObject>;
  /** What the agent kept beside its key; read before `parts` were listed, since the log is written first. */
  state?: ChainState | undefined;
}

const MOST_FINDINGS = 1000;
/** Lines of a batch that are kept for a closer look; a batch is as large only if its checkpoint is gone. */
const KEPT_BYTES = 32 << 20;

/** How the files of a log that may have been tampered with are put in order. */
export function searchOf(publicKeys: ReadonlyMap<string, KeyObject>): PartSearch {
  return {
    accept(parsed) {
      const key = publicKeys.get(parsed.checkpoint.key);
      return key !== undefined && isSignedBy(parsed, key);
    },
    samples: 3,
  };
}

/** Rejects with the errno of a file that cannot be read. */
export async function verifyLog(options: VerificationOptions): Promise<VerificationReport> {
  const { parts, publicKeys, state } = options;
  const report: VerificationReport = {
    ok: true,
    findings: [],
    more: 0,
    notes: [],
    files: [],
    lines: 0,
    checkpoints: 0,
    unsignedLines: 0,
    keys: [],
  };
  const ofUnknownKeys = new Map<string, Finding>();
  const expectedState = state && parseCheckpoint(state.line);
  let hash = createHash('sha256');
  let batch: BatchLine[] = [];
  let batchBytes = 0;
  let batchLines = 0;
  /** Where the batch begins, and where we are. */
  let from: LinePlace | undefined;
  let at: LinePlace = { file: parts[0]?.path ?? state?.path ?? '', line: 1 };
  let lastPlace: LinePlace | undefined;
  /** The last checkpoint in order, and the digest of the last checkpoint line whatever it is worth. */
  let last: Checkpoint | undefined;
  let lastDigest: string | undefined;
  /** Checkpoint lines since `last` that are none to be trusted. */
  let broken = 0;
  let oldest: number | undefined;
  /** Before a checkpoint that is further on than it should be: it may be the only one that is out of place. */
  let doubt:
    | { last: Checkpoint | undefined; broken: number; finding: Finding | undefined; place: LinePlace }
    | undefined;

  for (const part of parts) await readPart(part, part === parts.at(-1));
  finish();
  report.ok = report.findings.length === 0;
  return report;

  async function readPart(part: LogPart, isLast: boolean): Promise<void> {
    const counts = { path: part.path, lines: 0, checkpoints: 0 };
    report.files.push(counts);
    try {
      for await (const lines of readLogLines(part.path)) {
        for (const { bytes, number } of lines) {
          const seq = seqOf(bytes);
          at = { file: part.path, line: number, ...(seq !== undefined && { seq }) };
          from ??= at;
          if (bytes.at(-1) !== 0x0a) {
            takeFragment(isLast);
            continue;
          }
          counts.lines++;
          report.lines++;
          if (isCheckpointLine(bytes)) {
            counts.checkpoints++;
            takeCheckpoint(bytes);
          } else takeLine(bytes);
        }
      }
    } catch (error) {
      // Of a compressed file that is damaged; of others there is none but those of the disk.
      if (!part.path.endsWith('.gz')) throw error;
      find('unreadable', at, at, `the compressed file is damaged: ${(error as Error).message}`);
    }
  }

  function takeLine(bytes: Buffer): void {
    hash.update(bytes);
    batchLines++;
    batchBytes += bytes.length;
    if (batchBytes <= KEPT_BYTES) batch.push({ bytes, file: at.file, number: at.line });
    else batch = [];
  }

  /** Half a line: one that is just being written, or that a kill cut. */
  function takeFragment(isLast: boolean): void {
    if (isLast && !(last && broken === 0 && ENDS.has(last.reason)))
      report.notes.push(`${at.file} ends within line ${at.line}: it is being written, or was cut by a kill`);
    else find('inserted', at, at, 'the file ends with half a line, which the agent did not leave there');
  }

  function takeCheckpoint(bytes: Buffer): void {
    report.checkpoints++;
    const parsed = parseCheckpoint(bytes);
    const key = parsed && publicKeys.get(parsed.checkpoint.key);
    const digest = hash.digest('hex');
    if (parsed !== undefined && key !== undefined && isSignedBy(parsed, key))
      judge(parsed.checkpoint, bytes, digest);
    else if (parsed !== undefined && key === undefined) noteUnknownKey(parsed.checkpoint);
    else {
      const claims =
        parsed?.checkpoint.hash === digest
          ? '; the lines before it are as it says'
          : ', nor for the lines before it';
      find(
        'checkpoint_altered',
        from ?? at,
        at,
        `the line of a checkpoint is not what was signed: nothing vouches for it${claims}`,
        parsed?.checkpoint.n,
      );
      broken++;
    }
    lastPlace = at;
    lastDigest = checkpointDigest(bytes);
    hash = createHash('sha256');
    batch = [];
    batchBytes = batchLines = 0;
    from = undefined;
  }

  /** A checkpoint that the key signed: are its place and what is before it as it says? */
  function judge(checkpoint: Checkpoint, bytes: Buffer, digest: string): void {
    const begin = from ?? at;
    const { n, chain } = checkpoint;
    if (!report.keys.includes(checkpoint.key)) report.keys.push(checkpoint.key);
    report.chain ??= chain;
    if (last !== undefined && chain !== last.chain) {
      find('other_chain', begin, at, `another log (chain ${chain}) stands here`, n);
      last = undefined;
    }
    if (doubt !== undefined && last !== undefined && n <= last.n && n > (doubt.last?.n ?? 0))
      resolveDoubt(last.n);
    const isFirst = last === undefined;
    const nextN = (last?.n ?? n - 1 - broken) + 1;
    const isAhead = n > nextN + broken;
    if (n < nextN) {
      find('checkpoint_misplaced', begin, at, `checkpoint ${n} stands after ${nextN - 1}`, n);
      broken++;
      return;
    }
    doubt = undefined;
    if (isFirst && n > 1 + broken) doubt = { last, broken, finding: undefined, place: at };
    if (isAhead) {
      const missing = numbers('checkpoint', nextN + broken, n - 1);
      const theirs = digest === checkpoint.hash ? 'with their lines' : 'their lines may still be here';
      const words = `${missing} missing before checkpoint ${n}, ${theirs}`;
      const place = at;
      doubt = { last, broken, place, finding: find('checkpoint_missing', lastPlace ?? begin, at, words, n) };
    } else if (digest !== checkpoint.hash || batchLines !== checkpoint.lines) findEdit(checkpoint, begin);
    else if (broken === 0 && lastDigest !== undefined && lastDigest !== checkpoint.prev)
      find('checkpoint_altered', begin, at, `checkpoint ${n} continues another checkpoint ${n - 1}`, n);
    if (isFirst && n - broken === 1 && broken === 0 && checkpoint.prev !== NO_CHECKPOINT)
      find('checkpoint_altered', begin, at, 'the first checkpoint continues another one', n);
    noteAdopted(checkpoint, begin);
    if (isFirst) report.firstCheckpoint = n - broken;
    if (expectedState?.checkpoint.chain === chain && expectedState.checkpoint.n === n)
      if (state !== undefined && !state.line.equals(bytes))
        find('checkpoint_altered', at, at, `the state beside the key has another checkpoint ${n}`, n);
    last = checkpoint;
    broken = 0;
    oldest = checkpoint.oldest;
    report.lastCheckpoint = n;
    report.lastTime = /"time":"([^"]*)"/.exec(bytes.toString('latin1', 0, 60))?.[1] ?? '';
  }

  /** The one after it goes on before it: it was the one out of place. */
  function resolveDoubt(n: number): void {
    if (doubt === undefined) return;
    const words = `checkpoint ${n} stands where ${(doubt.last?.n ?? 0) + 1} should`;
    const finding = doubt.finding ?? find('checkpoint_misplaced', doubt.place, doubt.place, words, n);
    if (finding) Object.assign(finding, { kind: 'checkpoint_misplaced', words });
    last = doubt.last;
    broken = doubt.broken + 1;
  }

  function findEdit(checkpoint: Checkpoint, begin: LinePlace): void {
    const suspects = inspectBatch(batch, checkpoint);
    const difference = batchLines - checkpoint.lines;
    const kind = difference < 0 ? 'deleted' : difference > 0 ? 'inserted' : (suspects[0]?.kind ?? 'edited');
    const words =
      difference === 0
        ? `the lines before checkpoint ${checkpoint.n} are not those that were signed`
        : `${Math.abs(difference)} ${Math.abs(difference) === 1 ? 'line' : 'lines'} ${difference < 0 ? 'fewer' : 'more'} than were signed before checkpoint ${checkpoint.n}`;
    find(kind, begin, at, words, checkpoint.n, suspects);
  }

  function noteAdopted({ reason, lines, n }: Checkpoint, begin: LinePlace): void {
    if (lines === 0 || last === undefined) return;
    if (broken === 0 && ENDS.has(last.reason)) {
      const ended = last.reason === 'stop' ? 'the agent had stopped' : 'the file had ended';
      find('inserted', begin, at, `${lines} lines after checkpoint ${n - 1}, with which ${ended}`, n);
    } else if (reason === 'start')
      report.notes.push(
        `${begin.file}:${begin.line}: ${lines} lines before checkpoint ${n} were signed by the next start only: the agent before was killed`,
      );
  }

  function noteUnknownKey({ key, n }: Checkpoint): void {
    const known = ofUnknownKeys.get(key);
    if (known) known.to = at;
    else {
      const words = `checkpoints are signed by the key ${key}, which was not given`;
      const added = find('unknown_key', from ?? at, at, words, n);
      if (added) ofUnknownKeys.set(key, added);
    }
    broken++;
  }

  function finish(): void {
    report.unsignedLines = batchLines;
    const end = at;
    if (report.checkpoints === 0) {
      if (report.lines > 0)
        find('unsigned', from ?? at, end, 'there is no checkpoint: nothing vouches for the log');
    } else if (batchLines > 0 && last !== undefined && broken === 0 && ENDS.has(last.reason))
      find(
        'inserted',
        from ?? at,
        end,
        `${batchLines} lines after the last checkpoint, with which the ${last.reason === 'stop' ? 'agent had stopped' : 'file had ended'}`,
        last.n,
      );
    else if (batchLines > 0)
      report.notes.push(
        `${batchLines} lines after the last checkpoint are not signed yet, or the agent was killed`,
      );
    checkBeginning();
    checkEnd(end);
  }

  function checkBeginning(): void {
    const first = report.firstCheckpoint;
    const place = { file: parts[0]?.path ?? '', line: 1 };
    if (first === undefined || first === 1) return;
    if (oldest === undefined)
      report.notes.push(`the log begins with checkpoint ${first}: who removed what was before is not known`);
    else if (first > oldest)
      find(
        'file_missing',
        place,
        place,
        `the log begins with checkpoint ${first}, but the agent kept files from checkpoint ${oldest} on`,
        first,
      );
  }

  /** Nothing in a log vouches for its end, but for a stop, and for what the agent kept beside its key. */
  function checkEnd(end: LinePlace): void {
    const known = expectedState?.checkpoint;
    const key = known && publicKeys.get(known.key);
    if (expectedState && known && key && isSignedBy(expectedState, key)) {
      if (report.chain !== undefined && known.chain !== report.chain)
        find(
          'other_chain',
          end,
          end,
          `the agent last wrote the log of chain ${known.chain}, not this one`,
          known.n,
        );
      else if (known.n > (last?.n ?? 0) + broken)
        find(
          'truncated',
          end,
          end,
          `the log ends with ${last ? `checkpoint ${last.n}` : 'none'}, but the agent wrote ${known.n} checkpoints: its end is missing`,
          known.n,
        );
      return;
    }
    if (last?.reason === 'rotate')
      find('truncated', end, end, 'the last file has ended, and the one after it is missing', last.n);
    else if (last !== undefined && last.reason !== 'stop')
      report.notes.push(
        'the agent runs, or was killed; without its state (audit.key.state) lines and files missing at the end do not show',
      );
  }

  function find(
    kind: FindingKind,
    begin: LinePlace,
    end: LinePlace,
    words: string,
    checkpoint?: number,
    suspects: Finding['suspects'] = [],
  ): Finding | undefined {
    if (report.findings.length >= MOST_FINDINGS) {
      report.more++;
      return undefined;
    }
    const number = checkpoint !== undefined && { checkpoint };
    const finding = { kind, from: begin, to: end, ...number, suspects, words };
    report.findings.push(finding);
    return finding;
  }
}

function numbers(noun: string, from: number, to: number): string {
  return from === to ? `${noun} ${from} is` : `${noun}s ${from} to ${to} are`;
}
