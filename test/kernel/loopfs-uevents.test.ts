/** A container that is told of its own devices, with the agent that hides them from the host. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAgent } from '../support/agent-process.js';
import { startContainerMonitor } from '../support/container-monitor.js';
import { ioctls, LOOP_CTL_ADD } from '../support/ioctl.js';
import { startLoopfsHost } from '../support/loopfs-serve.js';
import { addPartition, deletePartition } from '../support/partition.js';
import { startPlacedContainer } from '../support/placed-container.js';
import { startReceiver } from '../support/receiver.js';
import { removeDevice } from '../support/remove-device.js';
import { host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

const FIRST = 34_000;
const HOSTS = 35_000;

test('udevadm in a container hears of its devices and partitions, of no other’s, and the host of none', async (t) => {
  const agent = await startAgent(t);
  const serving = await startLoopfsHost(t, FIRST, {
    LOOPWARDEN_LOOPFS_NEEDS_AGENT: 'true',
    LOOPWARDEN_LOOPFS_FORWARD_UEVENTS: 'true',
    LOOPWARDEN_API_SOCKET: agent.env.LOOPWARDEN_API_SOCKET ?? '',
  });
  const receiver = await startReceiver(t);
  await agent.ask('receivers');
  const one = await startPlacedContainer(t, serving, 'one');
  const two = await startPlacedContainer(t, serving, 'two');
  const [monitor, other] = [await startContainerMonitor(t, one), await startContainerMonitor(t, two)];

  const device = await one.run(`losetup -f --show ${one.image(8 << 20)}`);
  const disk = `block/loop${FIRST}`;
  assert.equal(device, `/dev/loop${FIRST}`);
  for (const [action, path] of [
    ['add', disk],
    ['add', `bdi/7:${FIRST}`],
    ['change', disk],
  ] as const)
    await monitor.hears(action, path);
  await host(addPartition(device, 1, 2048, 2048));
  await monitor.hears('add', `${disk}/loop${FIRST}p1`);
  await host(deletePartition(device, 1));
  await monitor.hears('remove', `${disk}/loop${FIRST}p1`);
  await one.run(`losetup -d ${device}; rm /dev/loopfs/loop${FIRST}`);
  await monitor.hears('remove', disk);
  assert.match(monitor.heard(), new RegExp(`remove +/devices/virtual/bdi/7:${FIRST} `));

  await receiver.catchUp();
  assert.equal(receiver.loopEvents(), 0);

  // The number is the host's to take: what it does with it is not the container's to hear.
  const before = monitor.heard();
  for (const number of [HOSTS, FIRST]) {
    await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, number]]));
    await removeDevice(number);
  }
  const second = await two.run('losetup -f');
  await other.hears('add', `block/${second.slice(5)}`);
  assert.equal(monitor.heard(), before);
  assert.ok(!other.heard().includes(`loop${FIRST} `) && !other.heard().includes(String(HOSTS)));

  // What goes with the instance is heard of by a container that goes on.
  await serving.ask('detach', 'two');
  await other.hears('remove', `block/${second.slice(5)}`);
  await receiver.catchUp();
  await eventually('the host hears of its own', async () => {
    await receiver.catchUp();
    return receiver.loopEvents() >= 4;
  });
});

test('without being told to, no container hears anything; after a kill it hears again', async (t) => {
  const serving = await startLoopfsHost(t, FIRST + 100);
  const silent = await startPlacedContainer(t, serving, 'silent');
  const told = await startPlacedContainer(t, serving, 'told', 16, ['--uevents']);
  const [quiet, monitor] = [await startContainerMonitor(t, silent), await startContainerMonitor(t, told)];
  await silent.run('losetup -f');
  await told.run('losetup -f');
  await monitor.hears('add', `block/loop${FIRST + 101}`);
  assert.ok(!quiet.heard().includes('/devices/'));
  await serving.kill();
  await serving.start();
  await told.run(`losetup ${`/dev/loop${FIRST + 101}`} ${told.image(1 << 20)}`);
  await monitor.hears('change', `block/loop${FIRST + 101}`);
  const list = (await serving.ask('list')) as { name: string; uevents: boolean }[];
  assert.deepEqual(
    list.map(({ name, uevents }) => [name, uevents]),
    [
      ['silent', false],
      ['told', true],
    ],
  );
});
