/**
 * Lines of the audit log to a collector, by OTLP over HTTP in JSON. Loaded only where it is configured.
 *
 * What the protocol calls retryable (429, 502, 503, 504, no connection) is tried again, ever more seldom, or when the collector
 * asks for it; anything else that is no success is counted as rejected.
 */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { hostname } from 'node:os';
import type { AuditOutput, Delivery } from './audit-output.js';
import { type OtlpLogRecord, otlpLogRecord, otlpRequest } from './otlp-record.js';
import { createOutputQueue, type OutputQueueOptions } from './output-queue.js';

export interface OtlpOutputOptions extends OutputQueueOptions {
  url: string;
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

export function createOtlpOutput({ url, ...options }: OtlpOutputOptions): AuditOutput {
  const host = hostname();
  return createOutputQueue<OtlpLogRecord>(
    {
      encode: (line) => otlpLogRecord(line, Date.now(), host),
      async deliver(records, signal) {
        const answer = await post(url, JSON.stringify(otlpRequest(records, host)), signal);
        return deliveryOf(answer, records.length);
      },
    },
    options,
  );
}

function deliveryOf({ status, retryAfterSeconds, body }: Answer, count: number): Delivery {
  const reason = `status ${status}`;
  if (RETRYABLE.has(status)) {
    const seconds = retryAfterSeconds && Math.min(retryAfterSeconds, LONGEST_RETRY_AFTER_SECONDS);
    return { done: 0, rejected: 0, reason, ...(seconds !== undefined && { retryAfterMs: seconds * 1000 }) };
  }
  if (status < 200 || status >= 300) return { done: count, rejected: count, reason };
  return { done: count, rejected: Math.min(rejectedOf(body), count) };
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
