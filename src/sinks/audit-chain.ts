/** The running hash over the audit log's lines, and the checkpoints made of it. */
import { createHash, randomBytes } from 'node:crypto';
import type { AuditKey } from './audit-key.js';
import type { ChainEnd } from './chain-end.js';
import {
  type CheckpointReason,
  type CheckpointTime,
  checkpointDigest,
  NO_CHECKPOINT,
  seqOf,
  signCheckpoint,
} from './checkpoint.js';

const NEWLINE = 0x0a;
/**
 * A batch is closed once it has so many lines or bytes: an edit is placed to a batch, and what a kill leaves unsigned is at
 * most one. Signing takes as long as hashing some hundred lines.
 */
const BATCH_LINES = 1000;
const BATCH_BYTES = 4 << 20;

export interface AuditChain {
  /** Takes whole lines in the order of the file; `lines`: how many. */
  add(bytes: Buffer, lines: number): void;
  /** Lines that no checkpoint vouches for yet. */
  openLines(): number;
  /** Whether those are enough for a checkpoint, be it due by time or not. */
  isFull(): boolean;
  /** The next checkpoint's line. `oldest` undefined: as the one before has it. */
  close(reason: CheckpointReason, lost: number): Buffer;
  /** Number of the next checkpoint. */
  next(): number;
  setOldest(n: number | undefined): void;
  oldest(): number | undefined;
}

export interface AuditChainOptions {
  key: AuditKey;
  /** Where the chain goes on. */
  end: ChainEnd;
  readClocks: () => CheckpointTime;
  batchLines?: number | undefined;
}

export function createAuditChain({
  key,
  end,
  readClocks,
  batchLines = BATCH_LINES,
}: AuditChainOptions): AuditChain {
  const chain = end.chain ?? randomBytes(8).toString('hex');
  let n = end.n;
  let prev = end.prev ?? NO_CHECKPOINT;
  let oldest = end.oldest;
  let hash = createHash('sha256');
  let lines = 0;
  let bytes = 0;
  let firstSeq: number | undefined;
  let lastSeq: number | undefined;

  return {
    add(added, count) {
      hash.update(added);
      lines += count;
      bytes += added.length;
      firstSeq ??= seqOf(added, 0, lineEnd(added));
      lastSeq = seqOf(added, added.lastIndexOf(NEWLINE, added.length - 2) + 1) ?? lastSeq;
    },
    openLines: () => lines,
    isFull: () => lines >= batchLines || bytes >= BATCH_BYTES,
    close(reason, lost) {
      n++;
      const line = signCheckpoint(
        {
          chain,
          n,
          reason,
          lines,
          ...(firstSeq !== undefined && { firstSeq }),
          ...(lastSeq !== undefined && { lastSeq }),
          lost,
          ...(oldest !== undefined && { oldest }),
          prev,
          hash: hash.digest('hex'),
          key: key.id,
        },
        readClocks(),
        key.privateKey,
      );
      prev = checkpointDigest(line);
      hash = createHash('sha256');
      lines = bytes = 0;
      firstSeq = lastSeq = undefined;
      return line;
    },
    next: () => n + 1,
    setOldest(first) {
      oldest = first;
    },
    oldest: () => oldest,
  };
}

function lineEnd(bytes: Buffer): number {
  const end = bytes.indexOf(NEWLINE);
  return end === -1 ? bytes.length : end;
}
