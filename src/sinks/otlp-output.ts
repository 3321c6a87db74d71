/**
 * Lines of the audit log to a collector, by OTLP over HTTP in JSON. Loaded only where it is configured.
 *
 * A bounded queue, one request at a time. What the protocol calls retryable (429, 502, 503, 504, no connection) is tried again,
 * ever more seldom, or when the collector asks for it; anything else that is no success is counted as rejected. The file is
 * what must be complete: here a line that finds the queue full is dropped and counted.
 */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { type AuditOutput, noCounts } from './audit-output.js';
import { otlpLogRecord, otlpRequest } from './otlp-record.js';

export interface OtlpOutputOptions {
  url: string;
  /** Called when sending begins to fail, with why, and when it works again, with undefined. */
  onState?: (reason: string | undefined) => void;
  /** Characters of the lines that wait at most. */
  queueChars?: number;
  batchLines?: number;
  /** How long a line waits for others. */
  gatherMs?: number;
  /** Milliseconds to the first retry, doubled each time up to the other. */
  firstRetryMs?: number;
  maxRetryMs?: number;
  timeoutMs?: number;
  closeMs?: number;
}

interface Answer {
  status: number;
  retryAfterSeconds: number | undefined;
  body: string;
}

const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** More of an answer is not read. */
const ANSWER_BYTES = 65_536;
/** What a collector may ask for at most. */
const LONGEST_RETRY_AFTER_SECONDS = 300;

export function createOtlpOutput(options: OtlpOutputOptions): AuditOutput {
  const { url, onState = () => {}, queueChars = 8 << 20, batchLines = 512, gatherMs = 200 } = options;
  const { firstRetryMs = 1000, maxRetryMs = 60_000, timeoutMs = 10_000, closeMs = 2000 } = options;
  const counts = noCounts();
  let waiting: string[] = [];
  let waitingChars = 0;
  let sending: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let retryMs = firstRetryMs;
  let failing = false;
  let closed = false;
  const end = new AbortController();

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
    const lines = waiting.slice(0, batchLines);
    try {
      const now = Date.now();
      const records = lines.map((line) => otlpLogRecord(line, now));
      const signal = AbortSignal.any([end.signal, AbortSignal.timeout(timeoutMs)]);
      const answer = await post(url, JSON.stringify(otlpRequest(records)), signal);
      if (RETRYABLE.has(answer.status))
        return noteFailure(`status ${answer.status}`, answer.retryAfterSeconds);
      noteAnswer(lines, answer);
      return waiting.length >= batchLines ? 0 : gatherMs;
    } catch (error) {
      return noteFailure((error as Error).message, undefined);
    }
  }

  function noteAnswer(lines: readonly string[], { status, body }: Answer): void {
    waiting.splice(0, lines.length);
    for (const line of lines) waitingChars -= line.length;
    const ok = status >= 200 && status < 300;
    const rejected = ok ? Math.min(rejectedOf(body), lines.length) : lines.length;
    counts.sent += lines.length - rejected;
    counts.rejected += rejected;
    retryMs = firstRetryMs;
    if (ok && failing) onState(undefined);
    if (!ok && !failing) onState(`status ${status}`);
    failing = !ok;
  }

  function noteFailure(reason: string, retryAfterSeconds: number | undefined): number {
    if (!failing) onState(reason);
    failing = true;
    // Not all agents of a fleet at one time.
    const backoffMs = retryMs * (0.5 + Math.random() / 2);
    retryMs = Math.min(retryMs * 2, maxRetryMs);
    if (retryAfterSeconds === undefined) return backoffMs;
    return Math.min(retryAfterSeconds, LONGEST_RETRY_AFTER_SECONDS) * 1000;
  }

  async function drain(): Promise<void> {
    await sending;
    while (waiting.length > 0 && !end.signal.aborted) {
      const before = waiting.length;
      await sendBatch();
      if (waiting.length === before) return;
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
      const limit = setTimeout(() => end.abort(), closeMs);
      await drain();
      clearTimeout(limit);
      counts.abandoned += waiting.length;
      waiting = [];
    },
  };
}

/** Rejects with the errno of the connection, or when the signal ends it. */
function post(url: string, body: string, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? requestHttps : requestHttp)(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      signal,
    });
    request.once('error', reject);
    request.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece.slice(0, ANSWER_BYTES - text.length);
      });
      response.once('error', reject);
      response.once('end', () => {
        const seconds = Number(response.headers['retry-after'] ?? Number.NaN);
        const retryAfterSeconds = Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
        resolve({ status: response.statusCode ?? 0, retryAfterSeconds, body: text });
      });
    });
    request.end(body);
  });
}

/** Of a success in part. */
function rejectedOf(body: string): number {
  try {
    const { partialSuccess } = JSON.parse(body) as { partialSuccess?: { rejectedLogRecords?: unknown } };
    const rejected = Number(partialSuccess?.rejectedLogRecords ?? 0);
    return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0;
  } catch {
    return 0;
  }
}
