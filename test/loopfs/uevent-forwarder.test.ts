/** What udevadm hears in a container's network namespace, with the kernel's own text. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { loadNative } from '../../src/kernel/native.js';
import { loopNumberOf, openUeventForwarder } from '../../src/loopfs/uevent-forwarder.js';
import { startContainerMonitor } from '../support/container-monitor.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { ioctls, LOOP_CTL_ADD } from '../support/ioctl.js';
import { startMappedContainer } from '../support/mapped-container.js';
import { addPartition } from '../support/partition.js';
import { removeDevice } from '../support/remove-device.js';
import { host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

const OWN = 30_002;
const OTHER = 30_003;

/** The host's uevents as the kernel wrote them, in hexadecimal, one a line. */
const LISTEN = `
import socket
s = socket.socket(16, socket.SOCK_RAW, 15)
s.bind((0, 1))
print("ready", flush=True)
while True: print(s.recv(8192).hex(), flush=True)`;

async function startSource(t: TestContext, onText: (text: Buffer) => void): Promise<void> {
  const child = spawn('python3', ['-c', LISTEN], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  defer(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let ready = false;
  createInterface(child.stdout).on('line', (line) => {
    if (line === 'ready') ready = true;
    else onText(Buffer.from(line, 'hex'));
  });
  await eventually('the source listens', () => ready, 60_000);
}

test('udevadm in a container hears of its own devices, and of no others', async (t) => {
  const container = await startMappedContainer(t);
  const monitor = await startContainerMonitor(t, container);

  const forwarder = await openUeventForwarder(loadNative(), container.pid, (number) => number === OWN);
  defer(t, forwarder.close);
  let otherGone = false;
  await startSource(t, (text) => {
    forwarder.forward(text);
    if (text.toString('latin1').startsWith(`remove@/devices/virtual/block/loop${OTHER}\0`)) otherGone = true;
  });
  const image = tempImage(t);
  for (const number of [OWN, OTHER]) {
    await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, number]]));
    defer(t, () => removeDevice(number).catch(() => {}));
    await host(`losetup /dev/loop${number} ${image}`);
    await host(addPartition(`/dev/loop${number}`, 1, 2048, 2048));
    await host(`losetup -d /dev/loop${number}`);
    await removeDevice(number);
  }
  await eventually('the last uevent of the host', () => otherGone);
  const path = `/devices/virtual/block/loop${OWN}`;
  await eventually('the removal arrives', () => new RegExp(`remove +${path} `).test(monitor.heard()));
  for (const line of [
    `add +${path} `,
    `change +${path} `,
    `add +${path}/loop${OWN}p1 `,
    `add +/devices/virtual/bdi/7:${OWN} `,
  ])
    assert.match(monitor.heard(), new RegExp(line));
  assert.ok(!monitor.heard().includes(String(OTHER)));
});

test('only what is about a loop device, its partition or its bdi has a number', () => {
  const numberOf = (head: string): number | undefined =>
    loopNumberOf(Buffer.from(`${head}\0SUBSYSTEM=block\0`));
  assert.equal(numberOf('add@/devices/virtual/block/loop7'), 7);
  assert.equal(numberOf('change@/devices/virtual/block/loop7/loop7p12'), 7);
  assert.equal(numberOf('remove@/devices/virtual/bdi/7:19'), 19);
  for (const head of [
    'add@/devices/virtual/block/loop7/loop8p1',
    'add@/devices/virtual/block/loop7/../loop8',
    'add@/devices/virtual/bdi/8:7',
    'add@/devices/virtual/mem/null',
    'libudev',
    'x@/devices/virtual/block/loop7',
    '',
  ])
    assert.equal(numberOf(head), undefined, head);
  assert.equal(loopNumberOf(Buffer.from('add@/devices/virtual/block/loop7')), undefined, 'without its end');
});

test('a process in a network namespace of the host is refused: the kernel tells it already', async () => {
  await assert.rejects(
    openUeventForwarder(loadNative(), process.pid, () => true),
    { code: 'EXDEV' },
  );
});
