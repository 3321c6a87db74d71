/** Connections of the client that commands and loopfs use. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createControlClient } from '../../src/web/control-client.js';
import { tempFolder } from '../support/temp-folder.js';

async function startServer(t: TestContext, path: string) {
  let connections = 0;
  const server = createServer((_request, response) => response.end('{}'));
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const stop = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  t.after(stop);
  return { connections: () => connections, stop };
}

test('a client that keeps its connections makes one for many requests, others one for each', async (t) => {
  const path = join(tempFolder(t), 'socket');
  const server = await startServer(t, path);
  const keeping = createControlClient(path, 'ERR_AGENT_NOT_RUNNING', { keep: true });
  for (let at = 0; at < 3; at++) await keeping.request('POST', '/', { at });
  assert.equal(server.connections(), 1);
  const plain = createControlClient(path);
  for (let at = 0; at < 3; at++) await plain.request('POST', '/', { at });
  assert.equal(server.connections(), 4);
});

test('a kept connection goes with its agent, and the next agent is asked', async (t) => {
  const path = join(tempFolder(t), 'socket');
  const first = await startServer(t, path);
  const client = createControlClient(path, 'ERR_AGENT_NOT_RUNNING', { keep: true });
  await client.request('GET', '/');
  await first.stop();
  await assert.rejects(client.request('GET', '/'), { code: 'ERR_AGENT_NOT_RUNNING' });
  const second = await startServer(t, path);
  await client.request('GET', '/');
  assert.equal(second.connections(), 1);
});
