/** Datagrams to a Unix socket, with Python's at the other end. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { loadNative } from '../../src/kernel/native.js';
import { defer } from '../support/defer.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const { openDatagramSocket } = loadNative();
const { ENOENT, EAGAIN, EMSGSIZE, ECONNREFUSED } = constants.errno;

/** Receives so many, after a line on its stdin, and prints their sizes. */
const RECEIVER = `
import socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
for line in sys.stdin:
    print(*(len(receiver.recv(1 << 20)) for _ in range(int(line))), flush=True)
`;

test('what is sent arrives whole; a receiver that is not there, full or gone is an errno, and nothing waits', async (t) => {
  const path = join(tempFolder(t), 'socket');
  const socket = openDatagramSocket(path);
  defer(t, () => socket.close());
  assert.equal(socket.send(Buffer.from('x')), ENOENT);
  const child = spawn('python3', ['-c', RECEIVER, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  defer(t, () => void child.kill('SIGKILL'));
  await eventually('it is bound', () => existsSync(path) && socket.send(Buffer.alloc(0)) === 0);
  assert.equal(socket.send(Buffer.alloc(150_000)), 0);
  let sent = 2;
  for (; socket.send(Buffer.alloc(7)) === 0; sent++) assert.ok(sent < 100_000);
  assert.equal(socket.send(Buffer.alloc(7)), EAGAIN);
  assert.equal(socket.send(Buffer.alloc(8 << 20)), EMSGSIZE);
  child.stdin.write(`${sent}\n`);
  const [sizes] = (await once(createInterface(child.stdout), 'line')) as [string];
  assert.deepEqual(sizes.split(' '), ['0', '150000', ...Array(sent - 2).fill('7')]);
  assert.equal(socket.send(Buffer.from('x')), 0);
  child.kill('SIGKILL');
  await exited;
  assert.equal(socket.send(Buffer.from('x')), ECONNREFUSED);
});

test('a path that does not fit into an address is refused', () => {
  assert.throws(() => openDatagramSocket(`/${'x'.repeat(107)}`), { code: 'ENAMETOOLONG' });
  assert.throws(() => openDatagramSocket(''), TypeError);
});
