import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createError, LoopwardenError } from '../../src/errors.js';
import type { ControlApi } from '../../src/web/control-api.js';
import { createControlClient } from '../../src/web/control-client.js';
import { startControlServer } from '../../src/web/control-server.js';
import { ask } from '../support/http-get.js';
import { tempFolder } from '../support/temp-folder.js';

interface FakeApi extends ControlApi {
  modes: string[];
  listeners: Set<(line: string) => void>;
  /** Settles at the next change of the number of listeners. */
  changed(): Promise<void>;
}

function fakeApi(overrides: Partial<ControlApi> = {}): FakeApi {
  const listeners = new Set<(line: string) => void>();
  const modes: string[] = [];
  let wake = () => {};
  const note = () => wake();
  return {
    modes,
    listeners,
    changed: () =>
      new Promise<void>((resolve) => {
        wake = resolve;
      }),
    status: async () => ({ filter: 'hide', big: 2n ** 60n, small: 5n }),
    devices: async () => [],
    device: async (device) => {
      if (device === 'loop3') return { name: device };
      throw createError('ERR_NO_SUCH_DEVICE', { device });
    },
    activity: async () => ({ rows: [] }),
    receivers: async () => [],
    doctor: async () => ({}),
    config: async () => null,
    setFilterMode: async (mode) => {
      modes.push(mode);
      return { mode };
    },
    makeDevice: async (number, usernsInum) => ({ number, owner: BigInt(usernsInum) }),
    recentEvents: (limit) => ['{"n":1}', '{"n":2}', '{"n":3}'].slice(-limit || 3),
    subscribeEvents(onLine) {
      listeners.add(onLine);
      note();
      return () => {
        listeners.delete(onLine);
        note();
      };
    },
    ...overrides,
  };
}

async function start(
  t: TestContext,
  api: ControlApi = fakeApi(),
  path = join(tempFolder(t), 'run', 'api.sock'),
) {
  const server = await startControlServer({ path, api });
  t.after(() => server.close());
  return { path, client: createControlClient(path), server };
}

async function errorOf(work: Promise<unknown>): Promise<LoopwardenError> {
  const error = await work.then(
    () => assert.fail('nothing was refused'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof LoopwardenError, String(error));
  return error;
}

test('every route answers what the agent says; 64-bit numbers arrive unrounded', async (t) => {
  const { client } = await start(t);
  assert.deepEqual(await client.request('GET', '/api/v1/status'), {
    filter: 'hide',
    big: '1152921504606846976',
    small: 5,
  });
  assert.deepEqual(await client.request('GET', '/api/v1/devices/loop3'), { name: 'loop3' });
  for (const path of ['devices', 'receivers'])
    assert.deepEqual(await client.request('GET', `/api/v1/${path}`), []);
  assert.deepEqual(await client.request('GET', '/api/v1/doctor'), {});
  assert.equal(await client.request('GET', '/api/v1/config'), null);
});

test('the socket is for root alone, from the first moment, and the umask is as before', async (t) => {
  const umask = process.umask();
  const { path } = await start(t);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o750);
  assert.equal(process.umask(), umask);
});

test('the filter mode is set by PUT with a known mode, by nothing else', async (t) => {
  const api = fakeApi();
  const { client, path } = await start(t, api);
  assert.deepEqual(await client.request('PUT', '/api/v1/filter', { mode: 'observe' }), { mode: 'observe' });
  for (const body of [{ mode: 'hid' }, {}, [], null, 'off', { mode: ['off'] }]) {
    assert.equal((await errorOf(client.request('PUT', '/api/v1/filter', body))).code, 'ERR_USAGE');
  }
  assert.equal((await ask({ socketPath: path, path: '/api/v1/filter' }, 'PUT', '{"mode":')).status, 400);
  assert.equal((await errorOf(client.request('GET', '/api/v1/filter'))).code, 'ERR_USAGE');
  assert.equal((await errorOf(client.request('PUT', '/api/v1/status', {}))).code, 'ERR_USAGE');
  assert.deepEqual(api.modes, ['observe']);
});

test('a body beyond 64 KiB is refused', async (t) => {
  const { path } = await start(t);
  const { status, body } = await ask(
    { socketPath: path, path: '/api/v1/filter' },
    'PUT',
    JSON.stringify({ mode: 'x'.repeat(70_000) }),
  );
  assert.equal(status, 400);
  assert.match(body, /64 KiB/);
});

test("the agent's errors arrive as themselves", async (t) => {
  const { client } = await start(t, fakeApi({ doctor: () => Promise.reject(new Error('oops')) }));
  const missing = await errorOf(client.request('GET', '/api/v1/devices/a%2Fb'));
  assert.deepEqual(
    [missing.code, missing.exitCode, missing.message],
    ['ERR_NO_SUCH_DEVICE', 1, 'no loop device a/b'],
  );
  assert.equal((await errorOf(client.request('GET', '/api/v1/doctor'))).code, 'ERR_INTERNAL');
  assert.equal((await errorOf(client.request('GET', '/nowhere'))).code, 'ERR_USAGE');
});

test('without an agent: ERR_AGENT_NOT_RUNNING, for a missing socket and for a dead one', async (t) => {
  const path = join(tempFolder(t), 'api.sock');
  const client = createControlClient(path);
  const { code, exitCode } = await errorOf(client.request('GET', '/api/v1/status'));
  assert.deepEqual([code, exitCode], ['ERR_AGENT_NOT_RUNNING', 69]);
  await leaveDeadSocket(path);
  assert.equal((await errorOf(client.request('GET', '/api/v1/status'))).code, 'ERR_AGENT_NOT_RUNNING');
  assert.equal((await errorOf(client.stream('/api/v1/events').next())).code, 'ERR_AGENT_NOT_RUNNING');
});

/** What kill -9 leaves. */
async function leaveDeadSocket(path: string): Promise<void> {
  const code = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await once(spawn(process.execPath, ['-e', code]), 'close');
  assert.ok(lstatSync(path).isSocket());
}

test("a dead agent's socket is replaced", async (t) => {
  const path = join(tempFolder(t), 'api.sock');
  await leaveDeadSocket(path);
  const { client } = await start(t, fakeApi(), path);
  assert.deepEqual(await client.request('GET', '/api/v1/devices'), []);
});

test('a live agent keeps its socket: the second one is told so', async (t) => {
  const { path, client } = await start(t);
  const refusal = await errorOf(startControlServer({ path, api: fakeApi() }));
  assert.equal(refusal.code, 'ERR_ALREADY_RUNNING');
  assert.deepEqual(await client.request('GET', '/api/v1/devices'), []);
});

test('two agents that start at once: one runs', async (t) => {
  const path = join(tempFolder(t), 'api.sock');
  const outcomes = await Promise.allSettled([1, 2].map(() => startControlServer({ path, api: fakeApi() })));
  for (const outcome of outcomes) if (outcome.status === 'fulfilled') t.after(() => outcome.value.close());
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.deepEqual(
    refused.map(({ reason }) => reason.code),
    ['ERR_ALREADY_RUNNING'],
  );
});

test('what is no socket is not removed, and a folder that cannot be is ERR_SOCKET_PATH', async (t) => {
  const folder = tempFolder(t);
  const file = join(folder, 'file');
  writeFileSync(file, 'precious');
  mkdirSync(join(folder, 'folder'));
  for (const path of [
    file,
    join(folder, 'folder'),
    join(file, 'api.sock'),
    '/proc/loopwarden/api.sock',
    join(folder, 'x'.repeat(200)),
  ]) {
    assert.equal((await errorOf(startControlServer({ path, api: fakeApi() }))).code, 'ERR_SOCKET_PATH', path);
  }
  assert.equal(statSync(file).size, 8);
});

test('kept events end by themselves; a wrong limit is refused', async (t) => {
  const { client } = await start(t);
  const lines: string[] = [];
  for await (const line of client.stream('/api/v1/events?limit=2')) lines.push(line);
  assert.deepEqual(lines, ['{"n":2}', '{"n":3}']);
  for (const query of ['limit=x', 'limit=-1', 'limit=1e9', 'follow=yes']) {
    assert.equal((await errorOf(client.stream(`/api/v1/events?${query}`).next())).code, 'ERR_USAGE', query);
  }
});

test('a follower gets kept events, then new ones; when it leaves, the agent forgets it', async (t) => {
  const api = fakeApi();
  const { client } = await start(t, api);
  const stream = client.stream('/api/v1/events?follow=1&limit=1');
  assert.deepEqual(await stream.next(), { done: false, value: '{"n":3}' });
  assert.equal(api.listeners.size, 1);
  for (const listener of api.listeners) listener('{"n":4}');
  assert.deepEqual(await stream.next(), { done: false, value: '{"n":4}' });
  const left = api.changed();
  await stream.return();
  await left;
  assert.equal(api.listeners.size, 0);
});

test('a follower that asks for it is told where what is new begins', async (t) => {
  const api = fakeApi();
  const { client } = await start(t, api);
  const stream = client.stream('/api/v1/events?follow=1&limit=1&mark=1');
  const lines = [(await stream.next()).value, (await stream.next()).value];
  for (const onLine of api.listeners) onLine('{"n":4}');
  assert.deepEqual([...lines, (await stream.next()).value], ['{"n":3}', '{"kind":"mark"}', '{"n":4}']);
  await stream.return();
});

test('a follower that waits for a line can be stopped, which is no error', async (t) => {
  const api = fakeApi();
  const { client } = await start(t, api);
  const stop = new AbortController();
  const stream = client.stream('/api/v1/events?follow=1&limit=0&mark=1', stop.signal);
  await stream.next();
  const waiting = stream.next();
  const forgotten = api.changed();
  stop.abort();
  assert.deepEqual(await waiting, { done: true, value: undefined });
  await forgotten;
  assert.equal(api.listeners.size, 0);
  assert.deepEqual(await client.stream('/api/v1/events?follow=1', stop.signal).next(), {
    done: true,
    value: undefined,
  });
});

test('a follower whose agent stops is told by the end of the stream', async (t) => {
  const { client, server } = await start(t);
  const stream = client.stream('/api/v1/events?follow=1&limit=1');
  await stream.next();
  const rest = stream.next();
  await server.close();
  assert.equal((await errorOf(rest)).code, 'ERR_AGENT_REFUSED');
});

test('a follower that does not read is dropped past 4 MiB, its last line says how much it missed', async (t) => {
  const api = fakeApi();
  const { path } = await start(t, api);
  const subscribed = api.changed();
  const socket = connect(path);
  socket.write('GET /api/v1/events?follow=1&limit=1 HTTP/1.0\r\n\r\n');
  socket.pause();
  await subscribed;
  const line = JSON.stringify({ kind: 'ioctl', text: 'x'.repeat(1000) });
  for (let n = 0; n < 10_000; n++) for (const listener of api.listeners) listener(line);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.resume();
  await once(socket, 'close');
  const lines = text
    .slice(text.indexOf('\r\n\r\n') + 4)
    .trimEnd()
    .split('\n')
    .map((item) => JSON.parse(item));
  const gap = lines.pop();
  assert.equal(gap.kind, 'gap');
  assert.equal(lines.length - 1 + gap.lost, 10_000);
  assert.ok(lines.length < 5000, `${lines.length} lines were queued`);
  assert.equal(api.listeners.size, 0);
});

test('more kept events than a follower may queue begin with a gap, and do not get it dropped', async (t) => {
  const line = JSON.stringify({ text: 'x'.repeat(8000) });
  const api = fakeApi({ recentEvents: (limit) => Array<string>(Math.min(limit, 1000)).fill(line) });
  const { client } = await start(t, api);
  const stream = client.stream('/api/v1/events?follow=1&limit=1000');
  const first = JSON.parse((await stream.next()).value as string);
  assert.equal(first.kind, 'gap');
  for (let n = first.lost; n < 1000; n++) assert.equal((await stream.next()).value, line);
  for (const listener of api.listeners) listener('{"n":1}');
  assert.equal((await stream.next()).value, '{"n":1}');
  await stream.return();
  let count = 0;
  for await (const _ of client.stream('/api/v1/events?limit=1000')) count++;
  assert.equal(count, 1000);
});

test('an answer that is no agent of ours is refused', async (t) => {
  const path = join(tempFolder(t), 'api.sock');
  const { createServer } = await import('node:http');
  const server = createServer((_, response) => response.end('<html>')).listen(path);
  await once(server, 'listening');
  t.after(() => server.close());
  assert.equal(
    (await errorOf(createControlClient(path).request('GET', '/api/v1/status'))).code,
    'ERR_AGENT_REFUSED',
  );
});
