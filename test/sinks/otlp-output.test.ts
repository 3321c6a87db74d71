/** A real HTTP server in the place of a collector. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { formatAuditLine } from '../../src/sinks/audit-line.js';
import type { AuditOutput } from '../../src/sinks/audit-output.js';
import { lineUid } from '../../src/sinks/line-fields.js';
import { createOtlpOutput, type OtlpOutputOptions } from '../../src/sinks/otlp-output.js';
import { otlpLogRecord } from '../../src/sinks/otlp-record.js';
import { VERSION } from '../../src/version.js';
import { defer } from '../support/defer.js';
import { eventually } from '../support/wait.js';
import { watchOutput } from '../support/watched-output.js';

// biome-ignore lint/suspicious/noExplicitAny: what a collector gets is read as it comes
type Body = any;
type Answer = (response: ServerResponse, turn: number) => void;

const OK: Answer = (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}');

async function startCollector(t: TestContext, answer: Answer = OK, port = 0) {
  const requests: { path: string; type: string; body: Body; atMs: number }[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    request.on('end', () => {
      const type = request.headers['content-type'] ?? '';
      requests.push({ path: request.url ?? '', type, body: JSON.parse(text), atMs: performance.now() });
      answer(response, requests.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  defer(t, stop);
  const { port: taken } = server.address() as AddressInfo;
  const records = (): Body[] =>
    requests.flatMap(({ body }) => body.resourceLogs[0].scopeLogs[0].logRecords as Body[]);
  return { requests, records, url: `http://127.0.0.1:${taken}/v1/logs`, port: taken, stop };
}

function openOutput(t: TestContext, url: string, more: Partial<OtlpOutputOptions> = {}) {
  return watchOutput(t, (timing) => createOtlpOutput({ url, ...timing, ...more }));
}

const line = (n: number): string => `{"seq":${n},"time":"2026-11-25T05:00:00.000000001Z","kind":"ioctl"}`;
const sent = (output: AuditOutput, count: number) =>
  eventually(`${count} lines sent`, () => output.counts().sent === count);

test('lines arrive in order, as requests that the protocol describes', async (t) => {
  const { requests, records, url } = await startCollector(t);
  const { output } = openOutput(t, url, { batchLines: 100 });
  for (let n = 1; n <= 250; n++) output.take(line(n));
  await sent(output, 250);
  assert.deepEqual(
    records().map(({ body }) => JSON.parse(body.stringValue).seq),
    Array.from({ length: 250 }, (_, at) => at + 1),
  );
  assert.equal(requests.length, 3);
  const [first] = requests;
  assert.deepEqual([first?.path, first?.type], ['/v1/logs', 'application/json']);
  const resource = first?.body.resourceLogs[0].resource.attributes;
  assert.deepEqual(resource[0], { key: 'service.name', value: { stringValue: 'loopwarden' } });
  assert.deepEqual(first?.body.resourceLogs[0].scopeLogs[0].scope, {
    name: 'loopwarden.audit',
    version: VERSION,
  });
});

/** Fields of LogRecord in opentelemetry-proto 1.5.0 (logs/v1/logs.proto), in its JSON encoding. */
test('a record has time, severity, event name, body and attributes as OTLP 1.5.0 types them', () => {
  const text = formatAuditLine({
    seq: 7,
    bootNs: 5_000_000_000n,
    wallOffsetNs: 1_700_000_000_000_000_123n,
    kind: 'ioctl',
    command: 'LOOP_CONFIGURE',
    device: { name: 'loop3', devno: (7 << 20) | 3, diskseq: 9n },
    result: 'EBUSY',
    caller: {
      pid: 100,
      tid: 101,
      startBootNs: 1n,
      comm: 'losetup',
      uid: 0,
      gid: 0,
      userns: { id: 2n ** 60n, inum: 4_026_531_837, level: 0, ownerUid: 0 },
      pidns: 1,
      mntns: 1,
      netns: 1,
      cgroupId: 1n,
    },
    container: { runtime: 'docker', id: 'abc', name: 'web' },
    config: { offset: 0n, sizelimit: 0n, flags: 5, blockSize: 512 },
  });
  const record = otlpLogRecord(text, 1_700_000_001_000, 'node1');
  assert.deepEqual(
    { ...record, attributes: undefined },
    {
      timeUnixNano: '1700000005000000123',
      observedTimeUnixNano: '1700000001000000000',
      severityNumber: 13,
      severityText: 'WARN',
      eventName: 'loopwarden.ioctl',
      body: { stringValue: text },
      attributes: undefined,
    },
  );
  const attributes = new Map(record.attributes.map(({ key, value }) => [key, value]));
  assert.equal(attributes.size, record.attributes.length, 'no key is there twice');
  assert.deepEqual(attributes.get('process.pid'), { intValue: '100' });
  assert.deepEqual(attributes.get('container.id'), { stringValue: 'abc' });
  // Receivers take two records of one uid for one: a number that each run begins anew would lose them lines.
  assert.deepEqual(attributes.get('log.record.uid'), { stringValue: lineUid(text, 'node1') });
  assert.notEqual(lineUid(text, 'node1'), lineUid(text, 'node2'));
  assert.deepEqual(attributes.get('loopwarden.seq'), { intValue: '7' });
  assert.deepEqual(attributes.get('error.type'), { stringValue: 'EBUSY' });
  assert.deepEqual(attributes.get('loopwarden.command'), { stringValue: 'LOOP_CONFIGURE' });
  assert.deepEqual(attributes.get('loopwarden.caller.userns.id'), { stringValue: String(2n ** 60n) });
  assert.deepEqual(attributes.get('loopwarden.config.flags'), {
    arrayValue: { values: [{ stringValue: 'READ_ONLY' }, { stringValue: 'AUTOCLEAR' }] },
  });
  assert.equal(otlpLogRecord('{"time":"when","kind":"agent"}', 0, 'node1').timeUnixNano, '0');
});

test('a collector that is not there yet gets everything when it comes', async (t) => {
  const gone = await startCollector(t);
  await gone.stop();
  const { output, states } = openOutput(t, gone.url);
  for (let n = 1; n <= 20; n++) output.take(line(n));
  await eventually('it says that it fails', () => states.length === 1);
  assert.match(states[0] ?? '', /ECONNREFUSED/);
  const { records } = await startCollector(t, OK, gone.port);
  await sent(output, 20);
  assert.equal(records().length, 20);
  assert.deepEqual(states.slice(1), [undefined]);
});

test('what is retryable is tried again, when the collector asks for it; nothing is doubled or lost', async (t) => {
  const { requests, records, url } = await startCollector(t, (response, turn) => {
    if (turn === 1) response.writeHead(503, { 'retry-after': '0.3' }).end();
    else if (turn === 2) response.writeHead(429).end();
    else OK(response, turn);
  });
  const { output } = openOutput(t, url);
  output.take(line(1));
  await sent(output, 1);
  assert.equal(requests.length, 3);
  assert.equal(records().length, 3);
  assert.ok((requests[1]?.atMs ?? 0) - (requests[0]?.atMs ?? 0) >= 290, 'not before it asked for it');
  assert.deepEqual(output.counts(), { sent: 1, queue_full: 0, rejected: 0, abandoned: 0 });
});

test('what is refused for good is counted, not tried again', async (t) => {
  const { requests, url } = await startCollector(t, (response, turn) => {
    if (turn === 1) response.writeHead(400).end('no');
    else
      response.writeHead(200).end('{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}');
  });
  const { output, states } = openOutput(t, url);
  for (let n = 1; n <= 3; n++) output.take(line(n));
  await eventually('the first answer', () => output.counts().rejected === 3);
  for (let n = 4; n <= 8; n++) output.take(line(n));
  await eventually('the second', () => output.counts().sent === 3);
  assert.deepEqual(output.counts(), { sent: 3, queue_full: 0, rejected: 5, abandoned: 0 });
  assert.equal(requests.length, 2);
  assert.deepEqual(states, ['status 400', undefined]);
});

test('a collector that never answers costs a bounded queue, and the agent’s end does not wait for it', async (t) => {
  const { requests, url } = await startCollector(t, () => {});
  const { output } = openOutput(t, url, { queueChars: 10_000, closeMs: 50 });
  for (let n = 0; n < 1000; n++) output.take(line(n));
  const { queue_full: full } = output.counts();
  assert.ok(full > 0 && full < 1000, `${full}`);
  await eventually('it was asked', () => requests.length === 1);
  await output.close();
  output.take(line(1000));
  const { sent: none, abandoned } = output.counts();
  assert.deepEqual([none, abandoned + full], [0, 1001]);
});

test('what waits is sent at the end', async (t) => {
  const { records, url } = await startCollector(t);
  const { output } = openOutput(t, url, { gatherMs: 60_000, batchLines: 10 });
  for (let n = 0; n < 9; n++) output.take(line(n));
  await output.close();
  assert.equal(records().length, 9);
  assert.deepEqual(output.counts(), { sent: 9, queue_full: 0, rejected: 0, abandoned: 0 });
});
