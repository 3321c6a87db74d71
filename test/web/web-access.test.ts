import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { hashSync } from 'bcryptjs';
import { type PublicServerOptions, startPublicServer } from '../../src/web/public-server.js';
import { makeCertificate, type Pair } from '../support/certificates.js';
import { defer } from '../support/defer.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const HASH = hashSync('secret', 4);
const USERS = `basic_auth_users:\n  ann: ${HASH}\n`;

let folder = '';
let ca: Pair;
let server: Pair;
let second: Pair;
let client: Pair;
let stranger: Pair;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'loopwarden-test-'));
  ca = makeCertificate(folder, 'ca');
  server = makeCertificate(folder, 'server', ca);
  second = makeCertificate(folder, 'second', ca);
  client = makeCertificate(folder, 'client', ca, 'DNS:prometheus');
  stranger = makeCertificate(folder, 'stranger');
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Started {
  url: string;
  port: number;
  /** Puts another file in its place in one step, and waits until it was read. */
  change(text: string): Promise<unknown>;
  /** What the last reading was. */
  reloads: unknown[];
}

async function start(
  t: TestContext,
  text: string,
  more: Partial<PublicServerOptions> = {},
): Promise<Started> {
  const file = join(tempFolder(t), 'web.yml');
  writeFileSync(file, text);
  const reloads: unknown[] = [];
  const listening = await startPublicServer({
    address: '127.0.0.1',
    port: 0,
    health: { unhealthyReasons: () => [], unreadyReasons: () => [] },
    metrics: { contentType: 'text/plain', renderMetrics: async () => 'metric 1\n' },
    webConfig: file,
    watchMs: 10,
    onReload: (error) => reloads.push(error),
    ...more,
  });
  defer(t, () => listening.close());
  return {
    url: listening.url,
    port: Number(new URL(listening.url).port),
    reloads,
    async change(next) {
      const seen = reloads.length;
      writeFileSync(`${file}.new`, next);
      renameSync(`${file}.new`, file);
      await eventually('the change is seen', () => reloads.length > seen);
      return reloads.at(-1);
    },
  };
}

interface Answer {
  status: number;
  body: string;
  headers: Record<string, unknown>;
}

function ask(url: string, { user, ...options }: RequestOptions & { user?: string } = {}): Promise<Answer> {
  const send = url.startsWith('https') ? request : plainRequest;
  const headers =
    user === undefined ? {} : { Authorization: `Basic ${Buffer.from(user).toString('base64')}` };
  return new Promise((resolve, reject) => {
    const call = send(url, { agent: false, ca: ca.cert, headers, ...options } as RequestOptions);
    call.on('error', reject).on('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
      );
    });
    call.end();
  });
}

const tlsText = (pair: Pair, more = ''): string =>
  `tls_server_config:\n  cert_file: ${pair.certFile}\n  key_file: ${pair.keyFile}\n${more}`;
const withClients = (type: string, more = ''): string =>
  tlsText(server, `  client_ca_file: ${ca.certFile}\n  client_auth_type: ${type}\n${more}`);

test('users are asked for their password, on every route; nothing else lets one in', async (t) => {
  const { url } = await start(t, USERS);
  for (const path of ['/', '/metrics', '/healthz', '/readyz', '/nowhere']) {
    const { status, headers, body } = await ask(url + path);
    assert.equal(status, 401, path);
    assert.match(String(headers['www-authenticate']), /^Basic realm="loopwarden"/);
    assert.doesNotMatch(body, /metric/);
  }
  assert.equal((await ask(`${url}/metrics`, { user: 'ann:secret' })).body, 'metric 1\n');
  for (const user of [
    'ann:Secret',
    'ann:',
    ':secret',
    'bob:secret',
    'annsecret',
    `ann:${'x'.repeat(3000)}`,
    'ann:secret\0',
  ])
    assert.equal((await ask(`${url}/metrics`, { user })).status, 401, user.slice(0, 20));
  for (const Authorization of ['Basic', 'Basic !', 'Bearer secret', `Basic ${'A'.repeat(6000)}`])
    assert.equal((await ask(`${url}/metrics`, { headers: { Authorization } })).status, 401);
});

test('a flood of guesses is bounded, and whoever is known gets through it', async (t) => {
  const { url } = await start(t, `basic_auth_users:\n  ann: ${hashSync('secret', 9)}\n`);
  assert.equal((await ask(`${url}/metrics`, { user: 'ann:secret' })).status, 200);
  const guesses = Array.from({ length: 120 }, (_, at) => ask(`${url}/metrics`, { user: `ann:guess ${at}` }));
  const known = await Promise.all(
    Array.from({ length: 10 }, () => ask(`${url}/metrics`, { user: 'ann:secret' })),
  );
  assert.deepEqual(new Set(known.map(({ status }) => status)), new Set([200]));
  const statuses = (await Promise.all(guesses)).map(({ status }) => status);
  assert.ok(statuses.every((status) => status === 401 || status === 503));
  assert.ok(statuses.includes(503), 'some were told to wait');
});

test('TLS 1.2 and newer, with that certificate; plain HTTP gets nothing', async (t) => {
  const { url, port } = await start(t, tlsText(server));
  assert.match(url, /^https:/);
  assert.equal((await ask(`${url}/metrics`)).body, 'metric 1\n');
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
    assert.equal((await ask(`${url}/healthz`, { minVersion: version, maxVersion: version })).status, 200);
  await assert.rejects(
    ask(`${url}/healthz`, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
  );
  await assert.rejects(ask(`http://127.0.0.1:${port}/healthz`));
  const socket = connectPlain(port, '127.0.0.1').on('error', () => {});
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  await once(socket, 'close');
  assert.doesNotMatch(answer, /metric 1/);
});

test('a client must show a certificate of that authority, and of that name', async (t) => {
  const { url } = await start(
    t,
    withClients('RequireAndVerifyClientCert', '  client_allowed_sans: [prometheus]\n'),
  );
  assert.equal((await ask(`${url}/metrics`, { cert: client.cert, key: client.key })).status, 200);
  await assert.rejects(ask(`${url}/metrics`));
  await assert.rejects(ask(`${url}/metrics`, { cert: stranger.cert, key: stranger.key }));
  await assert.rejects(ask(`${url}/metrics`, { cert: second.cert, key: second.key }), 'another name');
});

test('where it is verified if given, none is fine and a wrong one is not; any will do where any is required', async (t) => {
  const given = await start(t, withClients('VerifyClientCertIfGiven'));
  assert.equal((await ask(`${given.url}/metrics`)).status, 200);
  assert.equal((await ask(`${given.url}/metrics`, { cert: client.cert, key: client.key })).status, 200);
  await assert.rejects(ask(`${given.url}/metrics`, { cert: stranger.cert, key: stranger.key }));
  const any = await start(t, tlsText(server, '  client_auth_type: RequireAnyClientCert\n'));
  await assert.rejects(ask(`${any.url}/metrics`));
  assert.equal((await ask(`${any.url}/metrics`, { cert: stranger.cert, key: stranger.key })).status, 200);
});

test('a new certificate is for new connections; those that are open go on, and end after an answer', async (t) => {
  const { url, port, change } = await start(t, tlsText(server));
  const name = async (): Promise<string> => {
    const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', ca: ca.cert });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  };
  assert.equal(await name(), 'server');
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: ca.cert });
  t.after(() => agent.destroy());
  assert.equal((await ask(`${url}/metrics`, { agent })).headers.connection, 'keep-alive');
  assert.equal(await change(tlsText(second)), undefined);
  assert.equal(await name(), 'second');
  const last = await ask(`${url}/metrics`, { agent });
  assert.deepEqual([last.status, last.headers.connection], [200, 'close']);
  assert.equal((await ask(`${url}/metrics`, { agent })).status, 200);
});

test('a certificate that is replaced in its own file is seen, too', async (t) => {
  const own = tempFolder(t);
  const [certFile, keyFile] = [join(own, 'tls.crt'), join(own, 'tls.key')];
  copyFileSync(server.certFile, certFile);
  copyFileSync(server.keyFile, keyFile);
  const { port, reloads } = await start(t, tlsText({ ...server, certFile, keyFile }));
  copyFileSync(second.keyFile, keyFile);
  copyFileSync(second.certFile, certFile);
  await eventually('the second', async () => {
    const socket = connectTls({ port, host: '127.0.0.1', ca: ca.cert });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN) === 'second';
  });
  // Between the two the pair did not fit: that was said, and the old one went on.
  assert.equal(reloads.at(-1), undefined);
});

test('a file that is wrong, or gone, leaves what was; when it is right again it counts', async (t) => {
  const { url, change } = await start(t, USERS);
  const refused = await change('basic_auth_users:\n  ann: oops\n');
  assert.match(String(refused), /must be a bcrypt hash/);
  assert.match(String((refused as { where: string }).where), /web\.yml:2:3$/);
  assert.equal((await ask(`${url}/metrics`)).status, 401);
  assert.equal((await ask(`${url}/metrics`, { user: 'ann:secret' })).status, 200);
  assert.equal(await change(USERS.replace('ann', 'bob')), undefined);
  assert.equal((await ask(`${url}/metrics`, { user: 'ann:secret' })).status, 401);
  assert.equal((await ask(`${url}/metrics`, { user: 'bob:secret' })).status, 200);
});

test('on an address that others can reach, the last lock cannot be taken off while it runs', async (t) => {
  const { port, change } = await start(t, USERS, { address: '0.0.0.0' });
  const url = `http://127.0.0.1:${port}`;
  assert.match(String(await change('')), /refusing to listen on 0\.0\.0\.0/);
  assert.equal((await ask(`${url}/metrics`)).status, 401);
});

test('from plain HTTP to TLS and back without listening anew', async (t) => {
  const { port, change } = await start(t, '');
  assert.equal((await ask(`http://127.0.0.1:${port}/metrics`)).status, 200);
  await change(tlsText(server));
  assert.equal((await ask(`https://127.0.0.1:${port}/metrics`)).status, 200);
  await change('');
  assert.equal((await ask(`http://127.0.0.1:${port}/metrics`)).status, 200);
});

test('headers that were configured are on every answer', async (t) => {
  const { url } = await start(
    t,
    'http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=60\n',
  );
  for (const path of ['/metrics', '/nowhere'])
    assert.equal((await ask(url + path)).headers['strict-transport-security'], 'max-age=60');
});

test('who stops in the middle of a handshake is closed', async (t) => {
  const { port } = await start(t, tlsText(server));
  const socket = connectPlain(port, '127.0.0.1').on('error', () => {});
  // The beginning of a ClientHello.
  socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]));
  await once(socket.resume(), 'close');
});
