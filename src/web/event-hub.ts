/**
 * Events to the live page as server-sent events, at a cost that does not depend on the clients.
 *
 * Lines are gathered and written to all clients at once, so many in a moment at most; what is more, and what a slow
 * client had no room for, it is told as a gap with its size. Ids are `EPOCH-NUMBER`: a client that comes back says the last
 * one it has and gets what it missed, or how much that was.
 */
import type { ServerResponse } from 'node:http';

export interface EventLines {
  /** The newest kept lines, oldest first. */
  recent(limit: number): readonly string[];
  /** Number of the newest line ever. */
  published(): number;
  subscribe(onLine: (line: string) => void): () => void;
}

/** Why lines are missing; `restart`: another agent was there, nobody knows how many. */
export type GapReason = 'too_many' | 'slow_client' | 'too_old' | 'restart';

export interface EventHub {
  /** Answers by itself. False: there are too many already. `after`: the id that the client has seen last. */
  join(response: ServerResponse, after: string | undefined, holds: () => boolean): boolean;
  clients(): number;
  /** Ends the answers of clients that may not have them any more. */
  review(): void;
  close(): void;
}

export interface EventHubOptions {
  lines: EventLines;
  /** Of this agent: a short word that no other has had. */
  epoch: string;
  maxClients?: number;
  /** Bytes that may wait for one client. */
  maxQueuedBytes?: number;
  /** Lines that go out in one tick. */
  maxLinesATick?: number;
  tickMs?: number;
  /** A client hears something at least so often. */
  beatMs?: number;
  /** A client that takes nothing for so long is left. */
  stallMs?: number;
}

interface Client {
  response: ServerResponse;
  holds: () => boolean;
  /** Lines that it missed since it became too slow. */
  lost: number;
  slowSinceMs: number | undefined;
}

/** A new client gets at most so many of the kept lines. */
const BACKLOG_LINES = 1000;

export function createEventHub({
  lines,
  epoch,
  maxClients = 16,
  maxQueuedBytes = 1_048_576,
  maxLinesATick = 200,
  tickMs = 100,
  beatMs = 10_000,
  stallMs = 30_000,
}: EventHubOptions): EventHub {
  const clients = new Set<Client>();
  let batch: string[] = [];
  let batchBytes = 0;
  let skipped = 0;
  let lastWriteMs = 0;
  let tick: NodeJS.Timeout | undefined;
  let unsubscribe = () => {};

  const idOf = (number: number): string => `${epoch}-${number}`;
  const frame = (number: number, line: string): string => `id: ${idOf(number)}\ndata: ${line}\n\n`;
  const gap = (lost: number | null, reason: GapReason): string =>
    `id: ${idOf(lines.published())}\nevent: gap\ndata: ${JSON.stringify({ lost, reason })}\n\n`;

  const onLine = (line: string): void => {
    if (batch.length >= maxLinesATick || batchBytes >= maxQueuedBytes / 2) {
      skipped++;
      return;
    }
    batch.push(frame(lines.published(), line));
    batchBytes += line.length;
  };

  function flush(): void {
    const nowMs = performance.now();
    const count = batch.length + skipped;
    if (count > 0) {
      const text = batch.join('') + (skipped > 0 ? gap(skipped, 'too_many') : '');
      batch = [];
      batchBytes = 0;
      skipped = 0;
      send(Buffer.from(text), count);
    } else if (nowMs - lastWriteMs >= beatMs) send(Buffer.from('event: beat\ndata:\n\n'), 0);
    for (const { slowSinceMs, response } of clients)
      if (slowSinceMs !== undefined && nowMs - slowSinceMs > stallMs) response.destroy();
  }

  /** One buffer for all of them: what waits for many clients is there once. */
  function send(bytes: Buffer, count: number): void {
    lastWriteMs = performance.now();
    for (const client of clients) {
      const { response } = client;
      if (client.slowSinceMs !== undefined) client.lost += count;
      else if (response.writableLength + bytes.length > maxQueuedBytes) {
        client.slowSinceMs = lastWriteMs;
        client.lost = count;
        response.once('drain', () => resume(client));
        // Nothing waits: it is this one batch that is too large.
        if (!response.writableNeedDrain) resume(client);
      } else response.write(bytes);
    }
  }

  function resume(client: Client): void {
    if (client.slowSinceMs === undefined || client.response.destroyed) return;
    client.slowSinceMs = undefined;
    if (client.lost > 0) client.response.write(gap(client.lost, 'slow_client'));
    client.lost = 0;
  }

  function leave(client: Client): void {
    if (!clients.delete(client) || clients.size > 0) return;
    clearInterval(tick);
    unsubscribe();
    batch = [];
    batchBytes = 0;
    skipped = 0;
  }

  return {
    join(response, after, holds) {
      if (clients.size >= maxClients) return false;
      // So that what it gets now is not also in what all get next.
      if (clients.size > 0) flush();
      response.flushHeaders();
      response.write(`retry: 2000\n\n${missed(after)}`);
      const client: Client = { response, holds, lost: 0, slowSinceMs: undefined };
      if (clients.size === 0) {
        unsubscribe = lines.subscribe(onLine);
        lastWriteMs = performance.now();
        tick = setInterval(flush, tickMs).unref();
      }
      clients.add(client);
      response.once('close', () => leave(client));
      return true;
    },
    clients: () => clients.size,
    review() {
      for (const { response, holds } of clients) if (!holds()) response.destroy();
    },
    close() {
      for (const { response } of clients) response.destroy();
    },
  };

  /** What a client that has seen `after` is to be told first. */
  function missed(after: string | undefined): string {
    const newest = lines.published();
    const kept = lines.recent(BACKLOG_LINES);
    const { seen, known } = parseId(after);
    const first = Math.max(newest - kept.length, known ? Math.min(seen, newest) : 0);
    const within = newestWithin(kept.slice(kept.length - (newest - first)), maxQueuedBytes * 0.75);
    const from = newest - within.length;
    const text = within.map((line, index) => frame(from + index + 1, line)).join('');
    if (after === undefined) return text;
    if (!known) return gap(null, 'restart') + text;
    return (from > seen ? gap(from - seen, 'too_old') : '') + text;
  }

  function parseId(after: string | undefined): { seen: number; known: boolean } {
    const match = /^([A-Za-z0-9]{1,32})-(\d{1,15})$/.exec(after ?? '');
    return { seen: Number(match?.[2] ?? 0), known: match?.[1] === epoch };
  }
}

function newestWithin(kept: readonly string[], bytes: number): readonly string[] {
  let first = kept.length;
  let size = 0;
  while (first > 0) {
    size += Buffer.byteLength(kept[first - 1] ?? '') + 64;
    if (size > bytes) break;
    first--;
  }
  return kept.slice(first);
}
