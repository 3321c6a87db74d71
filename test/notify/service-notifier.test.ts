import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadNative } from '../../src/kernel/native.js';
import { createServiceNotifier } from '../../src/notify/service-notifier.js';
import { tempFolder } from '../support/temp-folder.js';

const native = loadNative();
const refuse = (reason: string): never => assert.fail(reason);

/** What a service manager hears: a line for each datagram, its newlines as `|`. */
const RECEIVER = `
import socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\\0" + name[1:] if name[0] == "@" else name)
print("bound", flush=True)
while True: print(s.recv(4096).decode().replace("\\n", "|"), flush=True)
`;

async function listen(t: TestContext, address: string): Promise<() => Promise<string>> {
  const child = spawn('python3', ['-c', RECEIVER, address], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => (await lines.next()).value as string;
  assert.equal(await next(), 'bound');
  return next;
}

test('tells that it is ready, alive for as long as it is, and about to end', async (t) => {
  for (const address of [join(tempFolder(t), 'notify'), `@loopwarden-test-${process.pid}`]) {
    const next = await listen(t, address);
    const env = {
      NOTIFY_SOCKET: address,
      WATCHDOG_USEC: '40000',
      WATCHDOG_PID: String(process.pid),
      OTHER: 'x',
    };
    const notifier = createServiceNotifier({ native, env, onError: refuse });
    // A child of ours must not speak for us.
    assert.deepEqual(env, { OTHER: 'x' });
    notifier.ready('filter hide');
    assert.equal(await next(), 'READY=1|STATUS=filter hide');
    assert.equal(await next(), 'WATCHDOG=1');
    assert.equal(await next(), 'WATCHDOG=1');
    notifier.stopping();
    let last = await next();
    while (last === 'WATCHDOG=1') last = await next();
    assert.equal(last, 'STOPPING=1');
  }
});

test('says nothing of being alive to who has asked another process', async (t) => {
  const address = join(tempFolder(t), 'notify');
  const next = await listen(t, address);
  const env = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' };
  const notifier = createServiceNotifier({ native, env, onError: refuse });
  notifier.ready('x');
  assert.equal(await next(), 'READY=1|STATUS=x');
  // Thirty times as long as the other process was asked for.
  await delay(30);
  notifier.stopping();
  assert.equal(await next(), 'STOPPING=1');
});

test('without a service manager it is silent, and one that is gone is reported once', (t) => {
  createServiceNotifier({ native, env: {}, onError: refuse }).ready('x');
  const reasons: string[] = [];
  const env = { NOTIFY_SOCKET: join(tempFolder(t), 'nobody') };
  const notifier = createServiceNotifier({ native, env, onError: (reason) => reasons.push(reason) });
  notifier.ready('x');
  notifier.stopping();
  assert.equal(reasons.length, 1);
  assert.match(reasons[0] ?? '', /No such file/);
  assert.throws(() => native.notifyService('x'.repeat(200), 'READY=1'), { code: 'ENAMETOOLONG' });
});
