import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { LoopwardenError } from '../../src/errors.js';
import { type PublicServerOptions, startPublicServer } from '../../src/web/public-server.js';
import { ask } from '../support/http-get.js';

const WELL: PublicServerOptions = {
  address: '127.0.0.1',
  port: 0,
  health: { unhealthyReasons: () => [], unreadyReasons: () => [] },
  metrics: { contentType: 'text/plain; version=0.0.4', renderMetrics: async () => 'metric 1\n' },
};

async function start(t: TestContext, options: Partial<PublicServerOptions> = {}): Promise<string> {
  const server = await startPublicServer({ ...WELL, ...options });
  t.after(() => server.close());
  return server.url;
}

test('serves metrics, health and an index of itself', async (t) => {
  const url = await start(t);
  const metrics = await ask(`${url}/metrics`);
  assert.deepEqual([metrics.status, metrics.body], [200, 'metric 1\n']);
  assert.equal(metrics.headers['content-type'], 'text/plain; version=0.0.4');
  for (const path of ['/healthz', '/readyz']) {
    const { status, body } = await ask(url + path);
    assert.deepEqual([status, body], [200, 'ok\n']);
  }
  assert.match((await ask(url)).body, /\/metrics\n\/healthz\n\/readyz\n/);
});

test('unwell is 503 with the reasons, each check with its own', async (t) => {
  const health = {
    unhealthyReasons: () => ['event loop stuck'],
    unreadyReasons: () => ['hook ioctl lost', 'filter off'],
  };
  const url = await start(t, { health });
  assert.deepEqual((({ status, body }) => [status, body])(await ask(`${url}/healthz`)), [
    503,
    'event loop stuck\n',
  ]);
  assert.deepEqual((({ status, body }) => [status, body])(await ask(`${url}/readyz`)), [
    503,
    'hook ioctl lost\nfilter off\n',
  ]);
});

test('HEAD gives the headers only; other methods are refused everywhere', async (t) => {
  const url = await start(t);
  const head = await ask(`${url}/metrics`, 'HEAD');
  assert.deepEqual([head.status, head.body, head.headers['content-length']], [200, '', '9']);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    for (const path of ['/', '/metrics', '/nowhere']) {
      const { status, headers } = await ask(url + path, method);
      assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'], `${method} ${path}`);
    }
  }
  assert.equal((await ask(`${url}/nowhere`)).status, 404);
  assert.equal((await ask(`${url}/api/v1/filter`)).status, 404);
});

test('scrapers at the same time share one scrape, later ones get a new one', async (t) => {
  let scrapes = 0;
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let started = () => {};
  const bothAsked = new Promise<void>((resolve) => {
    started = resolve;
  });
  const renderMetrics = async () => {
    scrapes++;
    await gate;
    return `${scrapes}\n`;
  };
  let requests = 0;
  const health = { ...WELL.health, unreadyReasons: () => [] };
  const url = await start(t, { health, metrics: { contentType: 'text/plain', renderMetrics } });
  const both = [ask(`${url}/metrics`), ask(`${url}/metrics`)];
  // A third request on the same server is answered after the first two were taken.
  for (const _ of both) if (++requests === both.length) ask(url).then(started);
  await bothAsked;
  release();
  assert.deepEqual(
    (await Promise.all(both)).map(({ body }) => body),
    ['1\n', '1\n'],
  );
  assert.equal((await ask(`${url}/metrics`)).body, '2\n');
});

test('a scrape that fails is 500, reported, and not remembered', async (t) => {
  const errors: unknown[] = [];
  let calls = 0;
  const renderMetrics = async () => {
    if (calls++ === 0) throw new Error('map closed');
    return 'fine\n';
  };
  const metrics = { contentType: 'text/plain', renderMetrics };
  const url = await start(t, { metrics, onError: (error) => errors.push(error) });
  const { status, body } = await ask(`${url}/metrics`);
  assert.deepEqual([status, body], [500, 'internal error\n']);
  assert.match(String(errors[0]), /map closed/);
  assert.equal((await ask(`${url}/metrics`)).body, 'fine\n');
});

test('a taken port and an address that is not here are ERR_PORT_IN_USE', async (t) => {
  const { port } = new URL(await start(t));
  for (const options of [{ port: Number(port) }, { address: '192.0.2.1' }]) {
    await assert.rejects(startPublicServer({ ...WELL, ...options }), (error) => {
      return error instanceof LoopwardenError && error.code === 'ERR_PORT_IN_USE' && error.exitCode === 2;
    });
  }
});

test('headers beyond the bound and garbage are refused, and the server lives on', async (t) => {
  const url = await start(t);
  const port = Number(new URL(url).port);
  for (const [sent, expected] of [
    [`GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ['\u0000\u0001garbage\r\n\r\n', /^HTTP\/1\.1 400 /],
  ] as const) {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('error', () => {});
    socket.write(sent);
    await once(socket, 'close');
    assert.match(answer, expected);
  }
  assert.equal((await ask(url)).status, 200);
});

test('connections past the bound are closed, those within it are served', async (t) => {
  const url = await start(t);
  const port = Number(new URL(url).port);
  const sockets = Array.from({ length: 80 }, () => connect(port, '127.0.0.1'));
  t.after(() => sockets.map((socket) => socket.destroy()));
  let closed = 0;
  await new Promise<void>((resolve) => {
    for (const socket of sockets) {
      socket.on('error', () => {});
      socket.on('close', () => {
        if (++closed === 16) resolve();
      });
      socket.resume();
    }
  });
  const open = sockets.find((socket) => !socket.destroyed);
  open?.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  const [chunk] = await once(open as NodeJS.EventEmitter, 'data');
  assert.match(String(chunk), /^HTTP\/1\.1 200 /);
});
