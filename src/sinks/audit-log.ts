/**
 * The audit log's file: lines gathered in memory and written in big chunks, one write at a time.
 *
 * When a write fails at run time (disk full, I/O error) the lines stay in a bounded buffer and the write is
 * tried again, ever more seldom, until it works; lines that find the buffer full are lost and counted. A write
 * that the kernel cut short goes on where it stopped, so no line is ever torn in the middle of the file.
 */
import { setImmediate, setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { reasonOf } from '../errors.js';
import { createLineBuffer } from './line-buffer.js';
import { appendTo, closeLogFile, openLogFile } from './log-file.js';

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
}

export interface AuditLogStats {
  linesWritten: number;
  linesLost: number;
  bytes: number;
  failing: boolean;
}

export interface AuditLog {
  /** Takes one line without its newline. Never throws, never blocks. */
  write(line: string): void;
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
  const { path, onState = () => {}, bufferBytes = 8_388_608 } = options;
  const { firstRetryMs = 100, maxRetryMs = 5000 } = options;
  const buffer = createLineBuffer(bufferBytes);
  const stats: AuditLogStats = { linesWritten: 0, linesLost: 0, bytes: 0, failing: false };
  let file = await openLogFile(path);
  let busy: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let retryMs = firstRetryMs;
  // A pipe (stdout, a FIFO) whose reader has not caught up: it will take more soon, so it is not failing.
  let slow = false;

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
      for (let bytes = nextBytes(); bytes !== undefined; bytes = nextBytes()) {
        const count = await appendTo(file, bytes);
        if (count === 0) throw new Error('the file took nothing');
        noteWritten(count);
      }
    } catch (error) {
      noteFailure(error);
    }
  }

  function nextBytes(): Uint8Array | undefined {
    const bytes = buffer.next();
    return bytes !== undefined && file.torn ? Buffer.from('\n') : bytes;
  }

  function noteWritten(count: number): void {
    stats.bytes += count;
    if (file.torn) file.torn = false;
    else stats.linesWritten += buffer.advance(count);
    retryMs = firstRetryMs;
    slow = false;
    if (stats.failing) {
      stats.failing = false;
      onState({ failing: false });
    }
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
    await alone(drain);
    while (slow && performance.now() < deadlineMs) {
      await setTimeoutAsync(SLOW_RETRY_MS);
      await alone(drain);
    }
    clearTimeout(retry);
    stats.linesLost += buffer.discard();
    await closeLogFile(file);
  }

  return {
    write(line) {
      if (closing !== undefined || !buffer.push(line)) stats.linesLost++;
      else if (busy === undefined && retry === undefined) startDraining();
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
        const [stale, rotated] = fresh.identity === file.identity ? [fresh, false] : [file, true];
        if (rotated) {
          file = fresh;
          buffer.rewindLine();
        }
        await closeLogFile(stale);
      });
    },
    stats: () => ({ ...stats }),
  };
}
