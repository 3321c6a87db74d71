import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import type { AttachOutcome } from '../../src/kernel/native.js';
import { code, compile, native, startReceiver, within } from './support.js';

const object = native.openObject(compile('ring'));
object.load();
const dropAll = object.program('drop_all');
const copy = object.program('copy');
const ring = object.map('ring');
const uevents = '/sys/devices/virtual/mem/null/uevent';
const receiver = await startReceiver();
after(() => receiver.stop());

/** A receiver_event of bpf/event.h after the Ethernet header that a test run takes off. */
function announce(pid: number, fd: number): void {
  const packet = Buffer.alloc(14 + 40);
  const event = packet.subarray(14);
  event.writeUInt16LE(3, 0);
  event.writeUInt16LE(40, 2);
  event.writeBigUInt64LE(process.hrtime.bigint(), 16);
  event.writeUInt32LE(pid, 24);
  event.writeInt32LE(fd, 28);
  assert.equal(copy.testRun(packet).result, 0);
}

test("takes another process's uevent socket", () => {
  const socket = native.openReceiver(receiver.pid, receiver.fd);
  const link = readlinkSync(`/proc/${receiver.pid}/fd/${receiver.fd}`);
  assert.equal(link, `socket:[${socket.inode}]`);
  assert.ok(socket.cookie > 0n);
  assert.equal(socket.portid, receiver.portid);
  assert.equal(socket.groups, 1);
  assert.equal(socket.filter, 'none');
  socket.close();
});

test('a filter hides uevents and, detached, lets them pass', async () => {
  const socket = native.openReceiver(receiver.pid, receiver.fd);
  writeFileSync(uevents, 'change');
  assert.equal(await receiver.ask('receive'), 'change@/devices/virtual/mem/null');
  socket.attach(dropAll);
  assert.equal(socket.filter, 'ebpf');
  writeFileSync(uevents, 'change');
  assert.equal(socket.detach(), true);
  assert.equal(socket.detach(), false);
  assert.equal(socket.filter, 'none');
  writeFileSync(uevents, 'add');
  assert.equal(await receiver.ask('receive'), 'add@/devices/virtual/mem/null');
  socket.close();
});

test('refuses what is no uevent socket', () => {
  const file = openSync('/dev/null', 'r');
  assert.throws(() => native.openReceiver(process.pid, file), code('EPROTOTYPE'));
  assert.throws(() => native.openReceiver(process.pid, 99_999), code('EBADF'));
  assert.throws(() => native.openReceiver(2 ** 31 - 1, 0), code('ESRCH'));
  assert.throws(() => native.openReceiver(0, 0), RangeError);
  assert.throws(() => native.openReceiver(1.5, 0), RangeError);
  assert.throws(() => native.openReceiver('1' as never, 0), TypeError);
  closeSync(file);
});

test('the listener hears nothing before it has its filter', () => {
  const listener = native.openUeventListener();
  assert.ok(listener.inode > 0n && listener.cookie > 0n);
  assert.throws(() => listener.attach({} as never), TypeError);
  listener.attach(dropAll);
  listener.attach(dropAll);
  listener.close();
});

/** How the kernel lists a bound netlink socket. */
function listed(inode: bigint): { groups: number; queuedBytes: number } | undefined {
  for (const line of readFileSync('/proc/net/netlink', 'utf8').split('\n').slice(1)) {
    const [, , , groups, queued, , , , , last] = line.trim().split(/\s+/);
    if (last === String(inode))
      return { groups: Number.parseInt(groups ?? '', 16), queuedBytes: Number(queued) };
  }
  return undefined;
}

test('the listener is bound to the groups it was opened for', () => {
  for (const [listener, groups] of [
    [native.openUeventListener(), 1],
    [native.openUeventListener(0), 0],
    [native.openUeventListener(2), 2],
  ] as const) {
    assert.equal(listed(listener.inode), undefined);
    listener.send('');
    assert.equal(listed(listener.inode)?.groups, 0, 'without a filter it hears nobody else');
    listener.attach(dropAll);
    assert.equal(listed(listener.inode)?.groups, groups);
    listener.close();
  }
  assert.throws(() => native.openUeventListener(-1), RangeError);
  assert.throws(() => native.openUeventListener('1' as never), TypeError);
});

test('a text sent to the listener passes its filter', () => {
  const listener = native.openUeventListener(0);
  const heard: string[] = [];
  const reader = native.openRingReader(ring, (batch, _count, end) => {
    heard.push(batch.toString('latin1', 8));
    reader.release(end);
  });
  listener.attach(copy);
  const text = 'canary@/devices/'.padEnd(39, 'x');
  for (let turn = 0; turn < 2; turn++) {
    listener.send(text);
    assert.equal(reader.drain(), 1);
  }
  assert.deepEqual(heard, [`${text}\0`, `${text}\0`]);
  reader.close();
  listener.close();
});

test('what the listener sends to itself does not stay', () => {
  const listener = native.openUeventListener();
  for (let turn = 0; turn < 1000; turn++) listener.send('canary@/devices/virtual');
  assert.deepEqual(listed(listener.inode), { groups: 0, queuedBytes: 0 });
  assert.throws(() => listener.send('a\0b'), TypeError);
  listener.close();
});

test('the watch attaches to a new receiver by itself and says so', async () => {
  const events = new EventEmitter();
  const watch = native.watchReceivers(ring, dropAll, (outcome) => events.emit('outcome', outcome));
  const next = async (pid: number, fd: number): Promise<AttachOutcome> => {
    const heard = once(events, 'outcome');
    announce(pid, fd);
    const [outcome] = await within(10_000, 'outcome', heard);
    return outcome;
  };
  try {
    const socket = native.openReceiver(receiver.pid, receiver.fd);
    const first = await next(receiver.pid, receiver.fd);
    assert.equal(first.outcome, 'attached');
    assert.equal(first.errno, 0);
    assert.equal(first.pid, receiver.pid);
    assert.equal(first.fd, receiver.fd);
    assert.equal(first.inode, socket.inode);
    assert.equal(first.cookie, socket.cookie);
    assert.ok(first.latencyNs > 0 && first.latencyNs < 10e9, String(first.latencyNs));
    assert.equal(socket.filter, 'ebpf');
    assert.equal((await next(receiver.pid, receiver.fd)).outcome, 'already');
    socket.detach();

    watch.setProgram(null);
    assert.equal((await next(receiver.pid, receiver.fd)).outcome, 'off');
    assert.equal(socket.filter, 'none');
    watch.setProgram(dropAll);

    assert.equal(await receiver.ask('classic'), 'done');
    assert.equal(socket.filter, 'classic');
    assert.equal((await next(receiver.pid, receiver.fd)).outcome, 'foreign');
    assert.equal(socket.filter, 'classic');
    socket.detach();

    assert.equal(await receiver.ask('lock'), 'done');
    const locked = await next(receiver.pid, receiver.fd);
    assert.deepEqual([locked.outcome, locked.errno], ['failed', 1]);
    assert.throws(() => socket.attach(dropAll), code('EPERM'));
    assert.throws(() => socket.detach(), code('EPERM'));
    socket.close();

    assert.equal((await next(receiver.pid, 9999)).outcome, 'gone');
    assert.equal((await next(2 ** 31 - 1, 3)).outcome, 'gone');
    assert.equal((await next(process.pid, 1)).outcome, 'not_uevent');
    assert.ok(fstatSync(1), 'our own fd is left alone');
  } finally {
    watch.close();
    watch.close();
  }
  assert.throws(() => watch.setProgram(null), code('ERR_CLOSED'));
});

test('the watch also takes the records that were there before it', async () => {
  announce(process.pid, 1);
  const outcome = await within(
    10_000,
    'outcome',
    new Promise<AttachOutcome>((resolve) => {
      const watch = native.watchReceivers(ring, null, (heard) => {
        watch.close();
        resolve(heard);
      });
      // A watch keeps no process alive; this test must wait all the same.
      setTimeout(() => {}, 0);
    }),
  );
  assert.equal(outcome.outcome, 'not_uevent');
});
