import assert from 'node:assert/strict';
import { request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { startPublicServer } from '../../src/web/public-server.js';
import { deviceView, pageFixture, TENANTS, tellStory } from '../page-fixture.js';
import { defer } from '../support/defer.js';
import { ask } from '../support/http-get.js';

async function start(t: TestContext, fixture = pageFixture()) {
  const server = await startPublicServer({
    address: '127.0.0.1',
    port: 0,
    page: fixture.page,
    health: { unhealthyReasons: () => [], unreadyReasons: () => [] },
    metrics: { contentType: 'text/plain', renderMetrics: async () => '' },
  });
  defer(t, async () => {
    fixture.page.close();
    await server.close();
  });
  return { url: server.url, fixture };
}

interface Raw {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

function get(url: string, headers: Record<string, string> = {}): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const call = request(url, { headers, agent: false }).on('error', reject);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    call.end();
  });
}

const FILES = ['/', '/page/app.js', '/page/app.css', '/page/icon.svg'];

test('the whole page is at most 100 KB, compressed in either way', async (t) => {
  const { url } = await start(t);
  for (const encoding of ['br', 'gzip']) {
    let bytes = 0;
    for (const path of FILES) {
      const { body, headers } = await get(url + path, { 'Accept-Encoding': encoding });
      assert.equal(headers['content-encoding'], encoding);
      bytes += body.length;
    }
    assert.ok(bytes <= 100 * 1024, `${bytes} bytes with ${encoding}`);
  }
});

test('each file is the same in every encoding, and is not sent to who has it', async (t) => {
  const { url } = await start(t);
  for (const path of FILES) {
    const [plain, br, gz] = await Promise.all(
      ['identity', 'gzip, deflate, br', 'gzip, br;q=0'].map((each) =>
        get(url + path, { 'Accept-Encoding': each }),
      ),
    );
    assert.ok(plain && br && gz);
    assert.deepEqual(brotliDecompressSync(br.body), plain.body);
    assert.deepEqual(gunzipSync(gz.body), plain.body);
    const tags = [plain, br, gz].map(({ headers }) => String(headers.etag));
    assert.equal(new Set(tags).size, 3);
    const again = await get(url + path, { 'Accept-Encoding': 'br', 'If-None-Match': `"x", ${tags[1]}` });
    assert.deepEqual([again.status, again.body.length], [304, 0]);
    const other = await get(url + path, { 'Accept-Encoding': 'br', 'If-None-Match': String(tags[0]) });
    assert.equal(other.status, 200);
  }
});

test('the page may run its own script and style, and nothing else', async (t) => {
  const { url } = await start(t);
  const { headers, body } = await get(url);
  const policy = String(headers['content-security-policy']);
  assert.match(
    policy,
    /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';/,
  );
  assert.match(policy, /require-trusted-types-for 'script'; trusted-types 'none'$/);
  assert.doesNotMatch(policy, /unsafe|http:|\*/);
  assert.doesNotMatch(body.toString(), /https?:\/\/|style=|onload|onclick/);
});

test('everything is for reading: any other method is refused on every route', async (t) => {
  const { url } = await start(t);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
    for (const path of [
      ...FILES,
      '/api/v1/status',
      '/api/v1/devices',
      '/api/v1/filter',
      '/api/v1/devices/loop1',
      '/api/v1/events',
      '/api/v1/rates',
    ])
      assert.equal((await ask(url + path, method, '{"mode":"off"}')).status, 405, `${method} ${path}`);
  for (const path of [
    '/api/v1/filter',
    '/api/v1/config',
    '/api/v1/doctor',
    '/page/',
    '/page/../../package.json',
    '/page/%2e%2e/main.js',
  ])
    assert.equal((await ask(url + path)).status, 404, path);
});

test('devices, status and rates are the agent’s own', async (t) => {
  const { url, fixture } = await start(t);
  tellStory(fixture);
  const devices = JSON.parse((await ask(`${url}/api/v1/devices`)).body);
  assert.equal(devices.length, 72);
  assert.deepEqual(
    [devices[5].name, devices[5].container.name, devices[5].hidden, devices[5].verdict.rule],
    ['loop5', 'image-build', true, 'holder'],
  );
  assert.equal(JSON.parse((await ask(`${url}/api/v1/devices/loop5`)).body).name, 'loop5');
  const missing = await ask(`${url}/api/v1/devices/loop999`);
  assert.deepEqual([missing.status, JSON.parse(missing.body).error.code], [404, 'ERR_NO_SUCH_DEVICE']);
  const status = JSON.parse((await ask(`${url}/api/v1/status`)).body);
  assert.equal(status.filterMode, 'hide');
  assert.equal(status.limits.devices, 4096);
  const rates = JSON.parse((await ask(`${url}/api/v1/rates`)).body);
  assert.equal(rates.length, 354);
  const later = JSON.parse((await ask(`${url}/api/v1/rates?after=${rates.at(-2).n}`)).body);
  assert.deepEqual(later, [rates.at(-1)]);
  for (const after of ['-1', 'x', '1e9', '9'.repeat(400)])
    assert.equal((await ask(`${url}/api/v1/rates?after=${after}`)).status, 400);
});

test('many who ask at once cost one reading, and who has it already gets nothing', async (t) => {
  const fixture = pageFixture();
  let readings = 0;
  const { devices } = fixture.page;
  fixture.page = {
    ...fixture.page,
    devices() {
      readings++;
      return devices();
    },
  };
  for (let number = 0; number < 2000; number++) fixture.devices.push(deviceView(number, TENANTS[0]));
  const { url } = await start(t, fixture);
  const answers = await Promise.all(
    Array.from({ length: 30 }, () => get(`${url}/api/v1/devices`, { 'Accept-Encoding': 'gzip' })),
  );
  assert.equal(readings, 1);
  assert.ok(answers.every(({ body }) => body.length < 100_000));
  assert.equal(JSON.parse(gunzipSync(answers[0]?.body ?? Buffer.alloc(0)).toString()).length, 2000);
  const again = await get(`${url}/api/v1/devices`, {
    'Accept-Encoding': 'gzip',
    'If-None-Match': String(answers[0]?.headers.etag),
  });
  assert.equal(again.status, 304);
});

test('events come as server-sent events, and go on after the last that one had', async (t) => {
  const { url, fixture } = await start(t);
  for (let n = 1; n <= 3; n++) fixture.publish(`{"n":${n}}`);
  const first = await readUntil(`${url}/api/v1/events`, {}, '{"n":3}');
  assert.match(first, /id: [0-9a-f]{16}-3\ndata: \{"n":3\}\n\n$/);
  const seen = /id: (\S+)\ndata: \{"n":2\}/.exec(first)?.[1] ?? '';
  for (const text of [
    await readUntil(`${url}/api/v1/events`, { 'Last-Event-ID': seen }, '{"n":3}'),
    await readUntil(`${url}/api/v1/events?after=${seen}`, {}, '{"n":3}'),
  ])
    assert.doesNotMatch(text, /"n":2|gap/);
});

function readUntil(url: string, headers: Record<string, string>, wanted: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(url, { headers, agent: false }).on('error', reject);
    call.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (!text.includes(wanted)) return;
        resolve(text);
        call.destroy();
      });
    });
    call.end();
  });
}
