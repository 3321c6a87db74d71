import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { type TestContext, test } from 'node:test';
import { LoopwardenError } from '../../src/errors.js';
import { type PublicServerOptions, startPublicServer } from '../../src/web/public-server.js';
import { ask } from '../support/http-get.js';
import { eventually } from '../support/wait.js';

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
  for (const options of [{ port: Number(port) }, { address: '192.0.2.1', allowUnauthenticated: true }]) {
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
  const url = await start(t, { maxConnections: 64 });
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
  open?.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [chunk] = await once(open as NodeJS.EventEmitter, 'data');
  assert.match(String(chunk), /^HTTP\/1\.1 200 /);
});

test('an address that others can reach is refused, unless somebody is asked or it is allowed', async (t) => {
  for (const address of ['0.0.0.0', '::', '192.0.2.1', '::ffff:10.0.0.1']) {
    await assert.rejects(startPublicServer({ ...WELL, address }), { code: 'ERR_OPEN_ADDRESS' });
  }
  for (const address of ['127.0.0.1', '127.1.2.3', '::1']) await start(t, { address });
  await start(t, { address: '0.0.0.0', allowUnauthenticated: true });
});

test('a name that is not this host’s is refused, so that no page of others can read here', async (t) => {
  const url = await start(t, { allowedHosts: ['Loopwarden.example'] });
  const { port } = new URL(url);
  const statusFor = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const call = request({
        host: '127.0.0.1',
        port,
        path: '/healthz',
        headers: { Host: host },
        agent: false,
      });
      call
        .on('error', reject)
        .on('response', (response) => resolve(response.resume().statusCode))
        .end();
    });
  for (const host of [
    `127.0.0.1:${port}`,
    `[::1]:${port}`,
    'localhost',
    'LOCALHOST.:80',
    'a.localhost',
    hostname(),
    'loopwarden.example:9847',
  ])
    assert.equal(await statusFor(host), 200, host);
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil.example:127',
    'a b',
    '[evil]',
    '@localhost',
    'localhost@evil.example',
  ])
    assert.equal(await statusFor(host), 421, host);
});

test('every answer says what a browser must not do with it', async (t) => {
  const url = await start(t);
  for (const path of ['/', '/metrics', '/healthz', '/nowhere']) {
    const { headers } = await ask(url + path);
    assert.equal(headers['x-content-type-options'], 'nosniff', path);
    assert.equal(headers['x-frame-options'], 'deny');
    assert.equal(headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'");
    assert.equal(headers['cache-control'], 'no-store');
  }
});

test('thousands of connections that say nothing cost the bound, and a scrape gets through', async (t) => {
  const url = await start(t);
  const port = Number(new URL(url).port);
  const before = process.memoryUsage().rss;
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  let closed = 0;
  for (let made = 0; made < 4000; made += 250) {
    const round = Array.from({ length: 250 }, () => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {}).on('close', () => closed++);
      // Half of them begin a request and never end it.
      if (made % 500 === 0) socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ');
      return socket.resume();
    });
    sockets.push(...round);
    await Promise.all(
      round.map(
        (socket) => socket.connecting && Promise.race([once(socket, 'connect'), once(socket, 'close')]),
      ),
    );
    assert.equal((await ask(`${url}/metrics`)).status, 200, `after ${made + 250} connections`);
  }
  await eventually('all but the bound are closed', () => closed >= 4000 - 256);
  assert.ok(process.memoryUsage().rss - before < 150 * 1_048_576, 'both ends together stay small');
});

test('a request that is never finished ends in 408', async (t) => {
  const url = await start(t);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n');
  await once(socket, 'close');
  assert.match(answer, /^HTTP\/1\.1 408 /);
});
