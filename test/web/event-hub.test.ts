import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createEventFeed } from '../../src/sinks/event-feed.js';
import { createEventHub, type EventHub, type EventHubOptions } from '../../src/web/event-hub.js';
import { defer } from '../support/defer.js';
import { eventually } from '../support/wait.js';

interface Stream {
  response: IncomingMessage;
  text(): string;
  /** `data` of all events without a name. */
  lines(): string[];
  gaps(): { lost: number | null; reason: string }[];
  ids(): string[];
  leave(): void;
}

async function start(t: TestContext, more: Partial<EventHubOptions> = {}, kept = 100) {
  const feed = createEventFeed(kept);
  const hub: EventHub = createEventHub({ lines: feed, epoch: 'abc', tickMs: 5, ...more });
  let allowed = true;
  const server = createServer((call, response) => {
    const after = new URL(call.url ?? '', 'http://x').searchParams.get('after') ?? undefined;
    if (!hub.join(response, after, () => allowed)) response.writeHead(503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  defer(t, () => {
    hub.close();
    server.closeAllConnections();
    server.close();
  });
  const join = async (after?: string, read = true): Promise<Stream> => {
    const path = after === undefined ? '/' : `/?after=${after}`;
    const call = request({ port, host: '127.0.0.1', path, agent: false }).end();
    call.on('error', () => {});
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    let text = '';
    response.on('error', () => {});
    if (read) response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const frames = () => text.split('\n\n').filter((frame) => /^data:/m.test(frame));
    const dataOf = (frame: string) => /^data: ?(.*)$/m.exec(frame)?.[1] ?? '';
    return {
      response,
      text: () => text,
      lines: () =>
        frames()
          .filter((frame) => !frame.includes('event:'))
          .map(dataOf),
      gaps: () =>
        frames()
          .filter((frame) => frame.includes('event: gap'))
          .map((frame) => JSON.parse(dataOf(frame))),
      ids: () => [...text.matchAll(/^id: (.*)$/gm)].map(([, id = '']) => id),
      leave: () => call.destroy(),
    };
  };
  const revoke = () => {
    allowed = false;
    hub.review();
  };
  return { feed, hub, join, revoke };
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => `{"n":${from + at}}`);

test('a client gets what is kept, then each new line once, with ids in order', async (t) => {
  const { feed, join } = await start(t);
  for (const line of numbered(1, 3)) feed.publish(line);
  const first = await join();
  await eventually('the kept lines', () => first.lines().length === 3);
  feed.publish('{"n":4}');
  const second = await join();
  feed.publish('{"n":5}');
  for (const stream of [first, second]) {
    await eventually('all lines', () => stream.lines().length === 5);
    assert.deepEqual(stream.lines(), numbered(1, 5));
    assert.deepEqual(stream.ids(), ['abc-1', 'abc-2', 'abc-3', 'abc-4', 'abc-5']);
    assert.deepEqual(stream.gaps(), []);
  }
});

test('a client that comes back gets what it missed, and nothing twice', async (t) => {
  const { feed, join } = await start(t);
  for (const line of numbered(1, 8)) feed.publish(line);
  const stream = await join('abc-5');
  await eventually('the missed lines', () => stream.lines().length === 3);
  assert.deepEqual(stream.lines(), numbered(6, 8));
  assert.deepEqual(stream.gaps(), []);
});

test('what is no longer kept is a gap of that size; of another agent’s events nobody knows how many', async (t) => {
  const { feed, join } = await start(t, {}, 4);
  for (const line of numbered(1, 10)) feed.publish(line);
  const late = await join('abc-2');
  await eventually('the kept lines', () => late.lines().length === 4);
  assert.deepEqual(late.gaps(), [{ lost: 4, reason: 'too_old' }]);
  assert.deepEqual(late.lines(), numbered(7, 10));
  const foreign = await join('other-7');
  await eventually('the kept lines', () => foreign.lines().length === 4);
  assert.deepEqual(foreign.gaps(), [{ lost: null, reason: 'restart' }]);
  for (const odd of ['abc-', 'abc--1', '%0aevent: x', 'x'.repeat(5000), 'abc-999999999999999']) {
    const stream = await join(encodeURIComponent(odd));
    feed.publish('{"new":1}');
    await eventually(`a line for ${odd.slice(0, 20)}`, () => stream.lines().includes('{"new":1}'));
    stream.leave();
  }
});

test('a burst is cut to what a page can take, and the rest is told as a gap', async (t) => {
  const { feed, join } = await start(t, { maxLinesATick: 10, tickMs: 50 });
  const stream = await join();
  for (const line of numbered(1, 1000)) feed.publish(line);
  await eventually('a gap', () => stream.gaps().length > 0);
  feed.publish('{"n":1001}');
  await eventually('the next line', () => stream.lines().includes('{"n":1001}'));
  assert.equal(stream.lines().length + stream.gaps().reduce((sum, { lost }) => sum + (lost ?? 0), 0), 1001);
  assert.ok(stream.gaps().every(({ reason }) => reason === 'too_many'));
});

test('a client that does not read costs its bound, hears of the gap when it reads, and costs others nothing', async (t) => {
  const { feed, join, hub } = await start(t, { tickMs: 1 });
  const slow = await join(undefined, false);
  const quick = await join(undefined, false);
  let received = 0;
  let said = '';
  quick.response.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (chunk.includes('event: gap')) said = chunk.toString();
  });
  const line = JSON.stringify({ text: 'x'.repeat(60_000) });
  // More than the kernel's own buffers and our bound together.
  const lines = 420;
  for (let sent = 3; sent <= lines; sent += 3) {
    for (let at = 0; at < 3; at++) feed.publish(line);
    await eventually('the quick one has it', () => received >= sent * line.length);
  }
  assert.equal(hub.clients(), 2);
  let text = '';
  slow.response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const gap = await eventually('a gap', () => /event: gap\ndata: (.*)/.exec(text)?.[1]);
  const { lost, reason } = JSON.parse(gap) as { lost: number; reason: string };
  assert.equal(reason, 'slow_client');
  feed.publish('{"last":1}');
  await eventually('the last line', () => text.includes('{"last":1}'));
  assert.equal([...text.matchAll(/^data: \{"text"/gm)].length + lost, lines);
  assert.equal(said, '');
});

test('a client that never reads is left after a while', async (t) => {
  const { feed, join, hub } = await start(t, { maxQueuedBytes: 16_384, stallMs: 50, tickMs: 1 });
  await join(undefined, false);
  const line = JSON.stringify({ text: 'x'.repeat(8000) });
  await eventually('it is gone', () => {
    feed.publish(line);
    return hub.clients() === 0;
  });
});

test('no more than so many at a time; who leaves makes room; without any the feed is not listened to', async (t) => {
  const { feed, join, hub } = await start(t, { maxClients: 2 }, 0);
  const [first, second] = [await join(), await join()];
  assert.equal((await join()).response.statusCode, 503);
  first.leave();
  await eventually('room', () => hub.clients() === 1);
  assert.equal((await join()).response.statusCode, 200);
  second.leave();
  hub.close();
  await eventually('nobody', () => hub.clients() === 0);
  assert.equal(feed.wanted(), false);
});

test('something is heard even when nothing happens', async (t) => {
  const { join } = await start(t, { beatMs: 20 });
  const stream = await join();
  await eventually('two beats', () => stream.text().split('event: beat').length > 2);
});

test('a stream ends when its reader may no longer have it', async (t) => {
  const { join, hub, revoke } = await start(t);
  await join();
  revoke();
  await eventually('it has ended', () => hub.clients() === 0);
});
