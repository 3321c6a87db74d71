/**
 * Events as NDJSON to one client: the kept ones, then with `follow=1` each new one as it comes. With `mark=1` the line
 * {"kind":"mark"} is between them.
 */
import type { ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { createError } from '../errors.js';
import type { ControlApi } from './control-api.js';

/** Bytes that may wait for a slow client; past it the client is told and dropped. */
export const MAX_QUEUED_BYTES = 4 * 1_048_576;

/** A client that takes nothing for so long after it was dropped does not even get the last line. */
const LAST_LINE_TIMEOUT_MS = 10_000;

const MARK_LINE = '{"kind":"mark"}\n';
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 100_000;

type EventSource = Pick<ControlApi, 'recentEvents' | 'subscribeEvents'>;

/** Answers by itself. @throws ERR_USAGE for a wrong `limit` or `follow`. */
export function streamEvents(
  source: EventSource,
  response: ServerResponse,
  query: URLSearchParams,
): undefined {
  const limit = readNumber(query, 'limit', DEFAULT_LIMIT, MAX_LIMIT);
  const follow = readNumber(query, 'follow', 0, 1) === 1;
  const mark = readNumber(query, 'mark', 0, 1) === 1;
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson', 'Cache-Control': 'no-store' });
  const recent = source.recentEvents(limit);
  if (!follow || response.req.method === 'HEAD') {
    // As fast as the client reads; a client that goes away ends it, which is no error.
    pipeline(Readable.from(wholeLines(recent)), response, () => {});
    return;
  }
  response.flushHeaders();
  response.write(newestWithin(recent, MAX_QUEUED_BYTES / 2) + (mark ? MARK_LINE : ''));
  followEvents(source, response);
}

function* wholeLines(lines: readonly string[]): Generator<string> {
  for (const line of lines) yield `${line}\n`;
}

/** The newest lines, after a gap line if there was no room for all: what waits already must not get a new client dropped. */
function newestWithin(lines: readonly string[], bytes: number): string {
  let first = lines.length;
  let size = 0;
  while (first > 0) {
    size += Buffer.byteLength(lines[first - 1] ?? '') + 1;
    if (size > bytes) break;
    first--;
  }
  const text = [...wholeLines(lines.slice(first))].join('');
  return first === 0 ? text : `${gapLine(first)}${text}`;
}

function gapLine(lost: number): string {
  return `{"kind":"gap","lost":${lost}}\n`;
}

function followEvents(source: EventSource, response: ServerResponse): void {
  let lost = 0;
  const unsubscribe = source.subscribeEvents((line) => {
    if (lost > 0 || response.writableLength + Buffer.byteLength(line) > MAX_QUEUED_BYTES) {
      lost++;
      if (lost === 1) dropWhenDrained();
    } else {
      response.write(`${line}\n`);
    }
  });
  response.once('close', unsubscribe);

  // What is queued is whole lines, so it is left to go out first: the gap is then the last line and says its size.
  function dropWhenDrained(): void {
    const timer = setTimeout(() => response.destroy(), LAST_LINE_TIMEOUT_MS).unref();
    response.once('close', () => clearTimeout(timer));
    response.once('drain', () => {
      unsubscribe();
      response.end(gapLine(lost));
    });
  }
}

function readNumber(query: URLSearchParams, name: string, fallback: number, most: number): number {
  const text = query.get(name);
  if (text === null) return fallback;
  if (/^\d{1,6}$/.test(text) && Number(text) <= most) return Number(text);
  throw createError('ERR_USAGE', { reason: `${name} must be a number from 0 to ${most}` });
}
