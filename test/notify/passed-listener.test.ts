import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { takePassedListener } from '../../src/notify/passed-listener.js';
import { eventually } from '../support/wait.js';

const TAKER = join(PACKAGE_ROOT, 'test/support/listener-taker.ts');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const askAt = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    text(socket).then(resolve, reject);
  });

test('serves on the socket that systemd listens on, whatever was asked before it started', async (t) => {
  const port = await freePort();
  const words = ['-l', `127.0.0.1:${port}`, process.execPath, '--import', 'tsx', TAKER];
  const activate = spawn('systemd-socket-activate', words, { stdio: ['ignore', 'inherit', 'ignore'] });
  t.after(() => activate.kill('SIGKILL'));
  const answer = await eventually('it listens', () => askAt(port).catch(() => undefined));
  assert.deepEqual(JSON.parse(answer), { address: '127.0.0.1', port, left: [] });
});

test('takes nothing that was passed to another process, and says what it cannot use', async () => {
  assert.equal(await takePassedListener({}), undefined);
  assert.equal(await takePassedListener({ LISTEN_FDS: '1', LISTEN_PID: '1' }), undefined);
  const ours = { LISTEN_PID: String(process.pid) };
  await assert.rejects(takePassedListener({ ...ours, LISTEN_FDS: '2' }), {
    code: 'ERR_PASSED_SOCKET',
    message: /passes 2 sockets/,
  });
});
