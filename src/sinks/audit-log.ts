/**
 * The audit log's file: lines gathered in memory and written in big chunks, one write at a time.
 *
 * When a write fails at run time (disk full, I/O error) the lines stay in a bounded buffer and the write is
 * tried again, ever more seldom, until it works; lines that find the buffer full are lost and counted. A write
 * that the kernel cut short goes on where it stopped, so no line is ever torn in the middle of the file.
 *
 * What stands between the lines (checkpoints) and when the file changes is the keeper's (log-keeper.ts).
 */
import { setImmediate, setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { reasonOf } from '../errors.js';
import type { AuditChain } from './audit-chain.js';
import { createLineBuffer } from './line-buffer.js';
import { appendTo, closeLogFile, cutLogFile, type LogFile, openLogFile, syncLogFile } from './log-file.js';
import { createLogKeeper } from './log-keeper.js';
import { NO_ROTATION, type RotationLimits } from './log-rotation.js';
import { createLogSync } from './log-sync.js';

export interface AuditLogState {
  failing: boolean;
  /** Why, while failing. */
  reason?: string;
}

export interface AuditLogOptions {
  /** `-` is stdout. */
  path: string;
  /** Called when writing begins to fail and when it works again. */
  onState?: (state: AuditLogState) => void;
  /** Bytes kept for a file that takes none; lines beyond are lost. */
  bufferBytes?: number;
  /** Milliseconds to the first retry, doubled each time up to the other. */
  firstRetryMs?: number;
  maxRetryMs?: number;
  /** Opens the chain of checkpoints when the first line is written; without it there are none. */
  openChain?: () => AuditChain;
  /** How long a line waits for its checkpoint. */
  checkpointMs?: number;
  rotation?: RotationLimits;
  /** How long what was written waits before it is made durable, so that several share one fdatasync. */
  syncDelayMs?: number;
  sync?: (file: LogFile) => Promise<void>;
  /** The last checkpoint that is durable. */
  onCheckpoint?: (line: Buffer) => void;
  /** Something besides writing failed; the log goes on. */
  onTrouble?: (what: string, error: unknown) => void;
}

export interface AuditLogStats {
  linesWritten: number;
  linesLost: number;
  bytes: number;
  failing: boolean;
}

export interface AuditLog {
  /** Takes one line without its newline; `durable`: it survives a power cut from soon on. Never throws, never blocks. */
  write(line: string, durable?: boolean): void;
  /** Settles when all lines so far are written, or when the file has just refused them (see `stats`). */
  flush(): Promise<void>;
  /** One last try; what is left then counts as lost. */
  close(): Promise<void>;
  /** Opens the path anew, after a rotation. @throws ERR_AUDIT_LOG, and goes on with the old file. */
  reopen(): Promise<void>;
  stats(): AuditLogStats;
}

const SLOW_RETRY_MS = 5;
/** How long closing waits for the reader of a full pipe. */
const CLOSE_WAIT_MS = 2000;

/** @throws ERR_AUDIT_LOG when the file cannot be made or opened. */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { path, onState = () => {}, onTrouble = () => {}, bufferBytes = 8_388_608 } = options;
  const { firstRetryMs = 100, maxRetryMs = 5000 } = options;
  const buffer = createLineBuffer(bufferBytes);
  const stats: AuditLogStats = { linesWritten: 0, linesLost: 0, bytes: 0, failing: false };
  const keeper = createLogKeeper({
    path,
    openChain: options.openChain,
    checkpointMs: options.checkpointMs ?? 1000,
    limits: options.rotation ?? NO_ROTATION,
    onTrouble,
  });
  const sync = createLogSync({
    sync(synced) {
      syncing = checkpoint;
      checkpoint = undefined;
      return (options.sync ?? syncLogFile)(synced);
    },
    delayMs: options.syncDelayMs ?? 4,
    onSynced() {
      if (syncing !== undefined) options.onCheckpoint?.(syncing);
    },
    onFailure: (error) => onTrouble('the audit log cannot be made durable', error),
  });
  let file = await openLogFile(path);
  let busy: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let retryMs = firstRetryMs;
  let wake: NodeJS.Timeout | undefined;
  // A pipe (stdout, a FIFO) whose reader has not caught up: it will take more soon, so it is not failing.
  let slow = false;
  /** The line of the keeper's that is being written; the last one that is written; the one that is being made durable. */
  let own: Buffer | undefined;
  let checkpoint: Buffer | undefined;
  let syncing: Buffer | undefined;
  /** The chunk that is written for the first time. */
  let unhashed: Buffer | undefined;
  /** Whether a line that waits, or one that is being written, is to be made durable. */
  let durableWaits = false;
  let durableNow = false;

  /** Runs one task at a time on the file; afterwards lines that came meanwhile, or wait for a retry, have their turn. */
  async function alone(task: () => Promise<void>): Promise<void> {
    while (busy !== undefined) await busy.catch(() => {});
    clearTimeout(retry);
    retry = undefined;
    busy = task().finally(() => {
      busy = undefined;
      if (retry === undefined && !buffer.isEmpty()) startDraining();
    });
    await busy;
  }

  async function drain(): Promise<void> {
    try {
      for (let bytes = await nextBytes(); bytes !== undefined; bytes = await nextBytes()) {
        const writing = appendTo(file, bytes);
        // While another thread writes, and once, however often it is tried.
        if (unhashed !== undefined) keeper.add(unhashed, buffer.chunkLines());
        unhashed = undefined;
        const count = await writing;
        if (count === 0) throw new Error('the file took nothing');
        noteWritten(count);
      }
      clearTimeout(wake);
      const wakeMs = keeper.wakeInMs(file);
      if (wakeMs !== undefined) wake = setTimeout(startDraining, wakeMs).unref();
    } catch (error) {
      noteFailure(error);
    }
  }

  async function nextBytes(): Promise<Uint8Array | undefined> {
    if (buffer.isBetween()) {
      const step = await keeper.between(file, buffer.waitingBytes(), stats.linesLost);
      if (step.file) await changeFile(step.file);
      if (step.hold) return undefined;
      own = step.line;
      if (own !== undefined) buffer.insert(own);
      else {
        durableNow = durableWaits;
        durableWaits = false;
        unhashed = buffer.next();
      }
    }
    const bytes = buffer.next();
    return bytes !== undefined && file.torn ? Buffer.from('\n') : bytes;
  }

  async function changeFile(fresh: LogFile): Promise<void> {
    const stale = file;
    file = fresh;
    sync.request(stale);
    await sync.settle();
    await closeLogFile(stale);
  }

  function noteWritten(count: number): void {
    stats.bytes += count;
    file.sizeBytes += count;
    if (file.torn) file.torn = false;
    else stats.linesWritten += buffer.advance(count);
    if (buffer.isBetween()) noteChunk();
    retryMs = firstRetryMs;
    slow = false;
    if (stats.failing) {
      stats.failing = false;
      onState({ failing: false });
    }
  }

  function noteChunk(): void {
    if (own !== undefined) checkpoint = own;
    if (own !== undefined || durableNow) sync.request(file);
    own = undefined;
    durableNow = false;
  }

  function noteFailure(error: unknown): void {
    slow = (error as NodeJS.ErrnoException).code === 'EAGAIN';
    if (slow) {
      retry = setTimeout(startDraining, SLOW_RETRY_MS).unref();
      return;
    }
    if (!stats.failing) {
      stats.failing = true;
      onState({ failing: true, reason: reasonOf(error) });
    }
    retry = setTimeout(startDraining, retryMs).unref();
    retryMs = Math.min(retryMs * 2, maxRetryMs);
  }

  function startDraining(): void {
    void alone(async () => {
      // Lets the rest of a batch of records in, so that they share one write.
      await setImmediate();
      await drain();
    });
  }

  async function finish(): Promise<void> {
    const deadlineMs = performance.now() + CLOSE_WAIT_MS;
    keeper.askStop();
    await alone(drain);
    while (slow && performance.now() < deadlineMs) {
      await setTimeoutAsync(SLOW_RETRY_MS);
      await alone(drain);
    }
    clearTimeout(retry);
    clearTimeout(wake);
    stats.linesLost += buffer.discard();
    await sync.settle();
    await closeLogFile(file);
  }

  /** Ends the old file, if it can still be written to; a line that is written in part goes whole to the new one. */
  async function moveTo(fresh: LogFile): Promise<void> {
    keeper.askEnd();
    await drain();
    clearTimeout(retry);
    retry = undefined;
    await cutLogFile(file, buffer.rewindLine());
    await changeFile(fresh);
    keeper.noteSwitch(fresh);
    await drain();
  }

  return {
    write(line, durable = false) {
      if (closing !== undefined || !buffer.push(line)) {
        stats.linesLost++;
        return;
      }
      if (durable) durableWaits = true;
      if (busy === undefined && retry === undefined) startDraining();
    },
    async flush() {
      if (closing === undefined) await alone(drain);
    },
    async close() {
      closing ??= finish();
      await closing;
    },
    async reopen() {
      await alone(async () => {
        const fresh = await openLogFile(path);
        // Unless it was rotated, the half-written line goes on in the same file.
        if (fresh.identity === file.identity) await closeLogFile(fresh);
        else await moveTo(fresh);
      });
    },
    stats: () => ({ ...stats }),
  };
}
