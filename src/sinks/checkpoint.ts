/**
 * The checkpoint: a line of the audit log that says, signed, what the lines since the checkpoint before it were.
 *
 * `hash` is SHA-256 over the bytes of those lines, newlines included; `prev` is SHA-256 over the line of the checkpoint
 * before, its newline included: so each checkpoint vouches for everything before it. `sig` is Ed25519 over the bytes of the
 * line in front of `,"sig":`. The format is documented in docs/audit-log.md.
 */
import { createHash, type KeyObject, sign, verify } from 'node:crypto';
import { stringText } from './json-text.js';
import { timeText } from './time-text.js';

/** `open` begins a file, `rotate` ends it; `start` and `stop` are the agent's; `interval` is every other. */
export const CHECKPOINT_REASONS = ['start', 'open', 'interval', 'rotate', 'stop'] as const;
export type CheckpointReason = (typeof CHECKPOINT_REASONS)[number];

/** After these nothing more is written before the checkpoint that begins a run or a file. */
export const ENDS: ReadonlySet<CheckpointReason> = new Set<CheckpointReason>(['rotate', 'stop']);

export interface Checkpoint {
  /** Names the log: made at random when it begins. */
  chain: string;
  /** Counts the checkpoints of the chain, from 1, over files and runs. */
  n: number;
  reason: CheckpointReason;
  /** Lines since the checkpoint before, and the first and last `seq` of theirs that have one. */
  lines: number;
  firstSeq?: number;
  lastSeq?: number;
  /** Lines that this run of the agent could not write so far. */
  lost: number;
  /** The first checkpoint of the oldest file that is kept; absent where something else rotates the log. */
  oldest?: number;
  prev: string;
  hash: string;
  /** Id of the public key. */
  key: string;
}

export interface CheckpointTime {
  bootNs: bigint;
  wallNs: bigint;
}

export interface SignedCheckpoint {
  checkpoint: Checkpoint;
  /** What the signature is over. */
  signed: Buffer;
  signature: Buffer;
}

/** `prev` of the first of all. */
export const NO_CHECKPOINT = '0'.repeat(64);

/** The whole line with its newline. */
export function signCheckpoint(checkpoint: Checkpoint, time: CheckpointTime, key: KeyObject): Buffer {
  const { chain, n, reason, lines, firstSeq, lastSeq, lost, oldest, prev, hash } = checkpoint;
  let text = `{"time":"${timeText(time.bootNs, time.wallNs - time.bootNs)}","boot_ns":${time.bootNs},"kind":"checkpoint"`;
  text += `,"chain":${stringText(chain)},"n":${n},"reason":"${reason}","lines":${lines}`;
  if (firstSeq !== undefined) text += `,"first_seq":${firstSeq}`;
  if (lastSeq !== undefined) text += `,"last_seq":${lastSeq}`;
  text += `,"lost":${lost}`;
  if (oldest !== undefined) text += `,"oldest":${oldest}`;
  text += `,"prev":"${prev}","hash":"${hash}","key":"${checkpoint.key}"`;
  const signature = sign(null, Buffer.from(text), key).toString('base64');
  return Buffer.from(`${text},"sig":"${signature}"}\n`);
}

const START = /^\{"time":"[^"]{0,40}","boot_ns":\d{1,20},"kind":"checkpoint",/;
const END = /,"sig":"([A-Za-z0-9+/]{86}==)"\}\n$/;
const HEAD_BYTES = 128;
const LETTER_T = 0x74;
const DIGIT_0 = 0x30;
const ID = /^[0-9a-f]{16}$/;

/** Whether a line sets out to be a checkpoint; what it is worth `parseCheckpoint` and its signature say. */
export function isCheckpointLine(line: Buffer): boolean {
  // Nearly every line is none: its third byte tells.
  return line[2] === LETTER_T && START.test(line.toString('latin1', 0, HEAD_BYTES));
}

/** Undefined if a line, with its newline, is not a whole checkpoint. The signature is not looked at. */
export function parseCheckpoint(line: Buffer): SignedCheckpoint | undefined {
  const text = line.toString('latin1');
  const end = END.exec(text);
  if (!START.test(text) || end === null) return undefined;
  try {
    const fields = JSON.parse(text) as Record<string, unknown>;
    const { first_seq, last_seq, ...rest } = fields;
    const checkpoint = {
      ...rest,
      ...(first_seq !== undefined && { firstSeq: first_seq }),
      ...(last_seq !== undefined && { lastSeq: last_seq }),
    } as unknown as Checkpoint;
    if (!Number.isSafeInteger(checkpoint.n) || checkpoint.n < 1) return undefined;
    if (!CHECKPOINT_REASONS.includes(checkpoint.reason)) return undefined;
    if (!ID.test(checkpoint.key) || !ID.test(checkpoint.chain)) return undefined;
    return {
      checkpoint,
      signed: line.subarray(0, end.index),
      signature: Buffer.from(end[1] ?? '', 'base64'),
    };
  } catch {
    return undefined;
  }
}

/** Whether that key signed it. */
export function isSignedBy({ signed, signature }: SignedCheckpoint, key: KeyObject): boolean {
  return verify(null, signed, key, signature);
}

/** What the next checkpoint names this one by: its line with the newline. */
export function checkpointDigest(line: Buffer): string {
  return createHash('sha256').update(line).digest('hex');
}

/** The `seq` of the line at an offset; undefined if it has none. No string can contain it: JSON escapes its quotes. */
export function seqOf(bytes: Buffer, from = 0, to = bytes.length): number | undefined {
  const start = bytes.indexOf(SEQ, from);
  if (start === -1 || start + SEQ.length >= to) return undefined;
  let seq: number | undefined;
  for (let at = start + SEQ.length; at < to; at++) {
    const digit = (bytes[at] ?? 0) - DIGIT_0;
    if (digit < 0 || digit > 9) break;
    seq = (seq ?? 0) * 10 + digit;
  }
  return seq !== undefined && Number.isSafeInteger(seq) ? seq : undefined;
}

const SEQ = Buffer.from('"seq":');
