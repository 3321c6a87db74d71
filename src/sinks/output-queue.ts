/**
 * Between the audit log and a receiver besides its file: a bounded queue, one delivery at a time. The file is what must be
 * complete: here a line that finds the queue full is dropped and counted, and nothing waits for a receiver.
 */
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { reasonOf } from '../errors.js';
import { type AuditOutput, type Delivery, noCounts, type OutputSender } from './audit-output.js';

export interface OutputQueueOptions {
  /** Called when delivering begins to fail, with why, and when it works again, with undefined. */
  onState?: ((reason: string | undefined) => void) | undefined;
  /** Characters of the lines that wait at most. */
  queueChars?: number;
  batchLines?: number;
  /** How long a line waits for others. */
  gatherMs?: number;
  /** Milliseconds to the first retry, doubled each time up to the other. */
  firstRetryMs?: number;
  maxRetryMs?: number;
  /** Of one delivery. */
  timeoutMs?: number;
  closeMs?: number;
  /** How long a receiver may have no room before that is a failure. */
  busyMs?: number;
}

/** How soon a receiver that has no room is asked again. */
const BUSY_RETRY_MS = 10;
/** Lines are encoded on the thread that reads the ring: at most one part of its time in this many. */
const WORK_SHARE = 4;

export function createOutputQueue<Message>(
  sender: OutputSender<Message>,
  options: OutputQueueOptions = {},
): AuditOutput {
  const { onState = () => {}, queueChars = 8 << 20, batchLines = 512, gatherMs = 200 } = options;
  const {
    firstRetryMs = 1000,
    maxRetryMs = 60_000,
    timeoutMs = 10_000,
    closeMs = 2000,
    busyMs = 5000,
  } = options;
  const counts = noCounts();
  const waiting: string[] = [];
  /** Of the first lines that wait, what is sent. */
  const batch: Message[] = [];
  let waitingChars = 0;
  let sending: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let retryMs = firstRetryMs;
  let failing = false;
  let busySinceMs: number | undefined;
  let closed = false;
  /** Nothing more is tried. */
  let ended = false;
  /** Of the delivery that is under way. */
  let attempt: AbortController | undefined;

  function schedule(delayMs: number): void {
    if (timer !== undefined || sending !== undefined || closed || waiting.length === 0) return;
    timer = setTimeout(() => {
      timer = undefined;
      start();
    }, delayMs).unref();
  }

  function start(): void {
    sending ??= sendBatch().then((delayMs) => {
      sending = undefined;
      schedule(delayMs);
    });
  }

  /** Resolves with how long to wait before the next. */
  async function sendBatch(): Promise<number> {
    const startMs = performance.now();
    let workMs = 0;
    let delivery: Delivery;
    try {
      for (const line of waiting.slice(batch.length, batchLines)) batch.push(sender.encode(line));
      workMs = performance.now() - startMs;
      delivery = await deliver();
    } catch (error) {
      delivery = { done: 0, rejected: 0, reason: reasonOf(error) };
    }
    const all = delivery.done === batch.length;
    take(delivery);
    if (!all) return retryIn(delivery);
    noteState(delivery.reason);
    retryMs = firstRetryMs;
    busySinceMs = undefined;
    return Math.max(waiting.length >= batchLines ? 0 : gatherMs, workMs * (WORK_SHARE - 1));
  }

  async function deliver(): Promise<Delivery> {
    const controller = new AbortController();
    attempt = controller;
    const noAnswer = new Error(`no answer within ${timeoutMs} ms`);
    const limit = setTimeout(() => controller.abort(noAnswer), timeoutMs).unref();
    try {
      return await sender.deliver(batch, controller.signal);
    } catch (error) {
      // Node's own, of what was broken off, would only say that it was.
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      clearTimeout(limit);
      attempt = undefined;
    }
  }

  function take({ done, rejected }: Delivery): void {
    for (const line of waiting.splice(0, done)) waitingChars -= line.length;
    batch.splice(0, done);
    counts.sent += done - rejected;
    counts.rejected += rejected;
  }

  function retryIn({ done, reason = 'it takes nothing', busy = false, retryAfterMs }: Delivery): number {
    if (busy) {
      if (done > 0) busySinceMs = undefined;
      busySinceMs ??= performance.now();
      if (performance.now() - busySinceMs < busyMs) return BUSY_RETRY_MS;
    }
    noteState(reason);
    // Not all agents of a fleet at one time.
    const backoffMs = retryMs * (0.5 + Math.random() / 2);
    retryMs = Math.min(retryMs * 2, maxRetryMs);
    return retryAfterMs ?? backoffMs;
  }

  function noteState(reason: string | undefined): void {
    if (failing !== (reason !== undefined)) onState(reason);
    failing = reason !== undefined;
  }

  async function drain(): Promise<void> {
    await sending;
    while (waiting.length > 0 && !ended) {
      const before = waiting.length;
      const delayMs = await sendBatch();
      if (delayMs === BUSY_RETRY_MS) await delay(BUSY_RETRY_MS);
      else if (waiting.length === before) return;
      // A sender that waits for nothing would else keep the time limit out.
      else await nextTurn();
    }
  }

  return {
    take(line) {
      if (closed || waitingChars + line.length > queueChars) {
        counts[closed ? 'abandoned' : 'queue_full']++;
        return;
      }
      waiting.push(line);
      waitingChars += line.length;
      schedule(waiting.length >= batchLines && !failing ? 0 : gatherMs);
    },
    counts: () => ({ ...counts }),
    async close() {
      closed = true;
      clearTimeout(timer);
      const limit = setTimeout(() => {
        ended = true;
        attempt?.abort(new Error('the agent ends'));
      }, closeMs);
      await drain();
      clearTimeout(limit);
      counts.abandoned += waiting.length;
      waiting.length = batch.length = 0;
      sender.close?.();
    },
  };
}
