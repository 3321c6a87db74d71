/** To a real rsyslogd, to a real systemd-journald and to busybox's syslogd. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../../src/config/load.js';
import { formatAuditLine } from '../../src/sinks/audit-line.js';
import type { AuditOutput } from '../../src/sinks/audit-output.js';
import { openSchema } from '../../src/sinks/audit-schema.js';
import { parseSyslogAddress } from '../../src/sinks/syslog-address.js';
import { networkMessage } from '../../src/sinks/syslog-message.js';
import { openSyslogOutput, type SyslogOutputOptions } from '../../src/sinks/syslog-output.js';
import { VERSION } from '../../src/version.js';
import { HOSTILE_NAMES } from '../commands/terminal.js';
import { defer } from '../support/defer.js';
import { startJournald } from '../support/journald.js';
import { startRsyslogd } from '../support/rsyslogd.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';
import { watchOutput } from '../support/watched-output.js';

const native = await openSchema('native');

function openOutput(t: TestContext, address: string, more: Partial<SyslogOutputOptions> = {}) {
  return watchOutput(t, (timing) => openSyslogOutput({ map: native, address, ...timing, ...more }));
}

const lineOf = (seq: number, path = '/srv/disk.img', result = 'ok'): string =>
  formatAuditLine({
    seq,
    bootNs: 5_000_000_000n,
    wallOffsetNs: 1_700_000_000_123_456_789n,
    kind: 'ioctl',
    command: 'LOOP_CONFIGURE',
    result,
    backing: { dev: 1, inode: 1n, path },
  });

for (const transport of ['udp', 'tcp'] as const) {
  test(`over ${transport} by RFC 5424, as rsyslog understands it`, async (t) => {
    const rsyslogd = await startRsyslogd(t);
    const { output } = openOutput(t, `${transport}://localhost:${rsyslogd.port}`);
    const lines = [
      lineOf(1),
      lineOf(2, 'ü\u202e\n💿', 'EBUSY'),
      ...Object.values(HOSTILE_NAMES).map((name, at) => lineOf(3 + at, name)),
    ];
    for (const line of lines) output.take(line);
    const messages = await eventually('all messages', () => {
      const all = rsyslogd.messages();
      return all.length === lines.length && all;
    });
    assert.deepEqual(messages[0], {
      pri: '86',
      time: '2023-11-14T22:13:25.123456Z',
      host: hostname(),
      app: 'loopwarden',
      pid: String(process.pid),
      id: 'ioctl',
      data: `[meta sequenceId="1"][origin software="loopwarden" swVersion="${VERSION}"]`,
      message: lines[0],
    });
    assert.equal(messages[1]?.pri, '84');
    for (const [at, line] of lines.entries()) {
      const text = messages[at]?.message ?? '';
      assert.match(text, /^[ -~]*$/);
      assert.deepEqual(JSON.parse(text), JSON.parse(line));
    }
    assert.deepEqual(output.counts(), { sent: lines.length, queue_full: 0, rejected: 0, abandoned: 0 });
  });
}

test('to the socket of this host as syslog(3) writes, which each of its daemons understands', async (t) => {
  const [rsyslogd, journald] = [await startRsyslogd(t), await startJournald(t)];
  const line = lineOf(1, 'ü\u202e\n💿', 'EBUSY');
  for (const address of [rsyslogd.socket, journald.syslogSocket]) openOutput(t, address).output.take(line);
  const message = await eventually('rsyslogd has it', () => rsyslogd.messages()[0]);
  assert.deepEqual([message.pri, message.app, message.pid], ['84', 'loopwarden', String(process.pid)]);
  assert.deepEqual(JSON.parse(message.message), JSON.parse(line));
  const entry = await eventually('journald has it', async () => (await journald.entries())[0]);
  const { PRIORITY, SYSLOG_FACILITY, SYSLOG_PID, MESSAGE } = entry;
  assert.deepEqual([PRIORITY, SYSLOG_FACILITY, SYSLOG_PID], ['4', '10', String(process.pid)]);
  assert.deepEqual(JSON.parse(String(MESSAGE)), JSON.parse(line));
});

test('busybox understands it, too', async (t) => {
  const file = join(tempFolder(t), 'messages');
  const script = `mount -t tmpfs tmpfs /dev && exec busybox syslogd -n -O ${file}`;
  const child = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-ec', script], {
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  defer(t, async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const socket = `/proc/${child.pid}/root/dev/log`;
  await eventually('it listens', () => existsSync(socket));
  openOutput(t, socket).output.take('{"seq":1,"kind":"agent","command":"start"}');
  const text = await eventually('it is written', () => {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    return lines.find((line) => line.includes('loopwarden['));
  });
  assert.match(
    text,
    new RegExp(
      `authpriv\\.info loopwarden\\[${process.pid}\\]: \\{"seq":1,"kind":"agent","command":"start"\\}$`,
    ),
  );
});

test('a server that goes away and comes back: what waits is sent then, over a new connection', async (t) => {
  const first = await startRsyslogd(t);
  const { output, states } = openOutput(t, `tcp://127.0.0.1:${first.port}`);
  output.take(lineOf(1));
  await eventually('the first has it', () => first.messages().length === 1);
  await first.stop();
  await eventually('it says that it fails', () => {
    output.take(lineOf(2));
    return states.length === 1;
  });
  assert.match(states[0] ?? '', /ECONNREFUSED|ECONNRESET|EPIPE/);
  output.take(lineOf(3));
  const second = await startRsyslogd(t, first.port);
  await eventually('the second has the last', () =>
    second.messages().some(({ message }) => JSON.parse(message).seq === 3),
  );
  assert.deepEqual(states.slice(1), [undefined]);
});

test('a server that reads nothing costs a bounded queue, and the agent’s end does not wait for it', async (t) => {
  const connections: Socket[] = [];
  const server = createServer((socket) => void connections.push(socket.pause().on('error', () => {})));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => {
    for (const socket of connections) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const to = `tcp://127.0.0.1:${address.port}`;
  let count = 0;
  const feed = (output: AuditOutput): void => {
    for (let n = 0; n < 200; n++) output.take(lineOf(++count, 'x'.repeat(4000)));
  };
  // Once the kernel has all that it keeps.
  const first = openOutput(t, to, { queueChars: 1_000_000, timeoutMs: 200 });
  await eventually('it says that it fails', () => {
    feed(first.output);
    return first.states.length > 0;
  });
  assert.equal(first.states[0], 'no answer within 200 ms');
  await first.output.close();

  count = 0;
  const { output } = openOutput(t, to, { queueChars: 1_000_000, timeoutMs: 60_000, closeMs: 100 });
  let before = -1;
  let still = 0;
  // A busy machine may send nothing for a while, though there is room.
  await eventually('nothing more is sent', async () => {
    feed(output);
    const { sent } = output.counts();
    await delay(50);
    still = sent > 0 && sent === before ? still + 1 : 0;
    before = sent;
    return still === 10;
  });
  const startMs = performance.now();
  await output.close();
  const { sent, queue_full: full, rejected, abandoned } = output.counts();
  assert.deepEqual(
    [performance.now() - startMs < 2000, full > 0, abandoned > 0, rejected],
    [true, true, true, 0],
  );
  assert.equal(sent + full + abandoned, count);
});

test('a datagram that is too long for UDP is counted, and the next one sent', async (t) => {
  const rsyslogd = await startRsyslogd(t);
  const { output } = openOutput(t, `udp://127.0.0.1:${rsyslogd.port}`);
  output.take(`{"kind":"agent","command":"${'x'.repeat(66_000)}"}`);
  output.take(lineOf(1));
  await eventually('the short one', () => rsyslogd.messages().length === 1);
  assert.deepEqual(output.counts(), { sent: 1, queue_full: 0, rejected: 1, abandoned: 0 });
});

test('the number of a message begins anew after the largest that the protocol has', () => {
  const idOf = (count: number) =>
    /sequenceId="(\d+)"/.exec(networkMessage({}, '{}', { host: 'ü', pid: 1, count }))?.[1];
  assert.deepEqual([1, 2 ** 31 - 1, 2 ** 31].map(idOf), ['1', '2147483647', '1']);
});

test('addresses: a socket, UDP, TCP and TLS; anything else is refused by the config', () => {
  assert.deepEqual(parseSyslogAddress('/dev/log'), { transport: 'local', path: '/dev/log' });
  assert.deepEqual(parseSyslogAddress('udp://log.example:514'), {
    transport: 'udp',
    host: 'log.example',
    port: 514,
  });
  assert.deepEqual(parseSyslogAddress('tcp://[::1]:601'), { transport: 'tcp', host: '::1', port: 601 });
  assert.deepEqual(parseSyslogAddress('tls://[::1]:6514'), { transport: 'tls', host: '::1', port: 6514 });
  const refused = [
    '',
    'log',
    'tcp://h',
    'tcp://h:0',
    'tcp://h:65536',
    'http://h:80',
    'udp://u@h:1',
    `/${'x'.repeat(107)}`,
    '/a\0',
  ];
  for (const address of refused) {
    assert.equal(parseSyslogAddress(address), undefined, address);
    const flags = { 'audit.syslog_address': address };
    assert.throws(() => loadConfig({ defaultPath: '/nonexistent', flags }), { code: 'ERR_CONFIG_VALUE' });
  }
});
