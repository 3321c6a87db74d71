/** The host's own instance: every device of no container, for the host's CAP_SYS_ADMIN, and for nobody else. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { ioctls, LOOP_CTL_ADD } from '../support/ioctl.js';
import { type LoopfsHost, startLoopfsHost } from '../support/loopfs-serve.js';
import { addPartition, deletePartition } from '../support/partition.js';
import { startPlacedContainer } from '../support/placed-container.js';
import { removeDevice } from '../support/remove-device.js';
import { command, host } from '../support/shell.js';

const FIRST = 31_000;
const HOSTS = 32_000;
const PLACE = `/dev/loopfs-host-${process.pid}`;

const mounts = (): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(` ${PLACE} `));

async function start(t: TestContext, first: number): Promise<LoopfsHost> {
  // Whatever a failed test has left; deferred first, so that it comes last.
  defer(t, async () => {
    for (let left = mounts().length; left > 0; left--) await command('umount', ['-l', PLACE]);
    await command('rmdir', [PLACE]);
  });
  return startLoopfsHost(t, first, { LOOPWARDEN_LOOPFS_HOST_MOUNT: PLACE });
}

async function addHostDevice(t: TestContext, number: number): Promise<string> {
  const path = `/dev/loop${number}`;
  await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, number]]));
  defer(t, async () => {
    await command('losetup', ['-d', path]);
    await removeDevice(number).catch(() => {});
  });
  return path;
}

test('shows all devices that are in no instance, with their partitions, and goes with detach', async (t) => {
  const serving = await start(t, FIRST);
  const container = await startPlacedContainer(t, serving, 'one');
  const image = container.image(4 << 20);
  const before = await container.run(`losetup -f --show ${image}`);
  assert.equal(before, `/dev/loop${FIRST}`);
  const path = await addHostDevice(t, HOSTS);
  const { stdout, code } = await serving.loopfs('create', 'host', '--host');
  assert.deepEqual([code, stdout], [0, `instance host is on ${PLACE}\n`]);

  const after = await container.run(`losetup -f`);
  assert.equal(after, `/dev/loop${FIRST + 1}`);
  const shown = readdirSync(PLACE);
  assert.ok(shown.includes(`loop${HOSTS}`) && shown.includes('loop-control'));
  for (const number of [FIRST, FIRST + 1]) {
    assert.ok(existsSync(`/sys/block/loop${number}`));
    assert.ok(!shown.includes(`loop${number}`));
    assert.ok(!existsSync(`${PLACE}/loop${number}`));
  }
  assert.equal(
    await host(`stat -c '%F %a %u:%g %Hr:%Lr' ${PLACE}/loop${HOSTS}`),
    await host(`stat -c '%F 600 0:0 %Hr:%Lr' ${path}`),
  );
  await host(`losetup ${PLACE}/loop${HOSTS} ${tempImage(t)}`);
  await host(addPartition(path, 1, 2048, 2048));
  assert.ok((await host(`blockdev --getsize64 ${PLACE}/loop${HOSTS}p1`)).length > 0);
  await host(deletePartition(path, 1));
  assert.ok(!existsSync(`${PLACE}/loop${HOSTS}p1`));
  // The kernel's own, which names a device that anybody may find free.
  await host(ioctls(`${PLACE}/loop-control`, [[LOOP_CTL_ADD, HOSTS + 1]]));
  defer(t, () => removeDevice(HOSTS + 1).catch(() => {}));
  assert.ok(existsSync(`${PLACE}/loop${HOSTS + 1}`));
  for (const change of [
    `rm ${PLACE}/loop${HOSTS}`,
    `touch ${PLACE}/x`,
    `mv ${PLACE}/loop-control ${PLACE}/y`,
  ])
    assert.equal((await command('sh', ['-c', change])).code, 1, change);

  const listed = (await serving.ask('list')) as {
    name: string;
    state: string;
    devices: { number: number }[];
  }[];
  const own = listed.find(({ name }) => name === 'host');
  assert.equal(own?.state, 'host');
  assert.ok(own?.devices.some(({ number }) => number === HOSTS));
  assert.ok(own?.devices.every(({ number }) => number !== FIRST && number !== FIRST + 1));
  const refusals: [string[], number, RegExp][] = [
    [['create', 'more', '--host'], 1, /there is an instance host already/],
    [['attach', 'host', '--pid', String(container.pid)], 1, /the host’s own/],
    [['create', 'other', '--host', '--max', '3'], 2, /takes no "max"/],
  ];
  for (const [words, expected, message] of refusals) {
    const refused = await serving.loopfs(...words);
    assert.equal(refused.code, expected);
    assert.match(refused.stderr, message);
  }

  assert.equal((await serving.loopfs('detach', 'host')).code, 0);
  assert.deepEqual(mounts(), []);
  assert.ok(!existsSync(PLACE));
  assert.ok(existsSync(`/sys/block/loop${HOSTS}`), 'the devices stay');
  assert.equal((await command('losetup', [path])).code, 0, 'bound as they were');
});

test('is for CAP_SYS_ADMIN of the host only, whatever way a caller comes by it', async (t) => {
  const serving = await start(t, FIRST + 100);
  // A namespace that follows the host's mounts, as a service's may.
  const follower = spawn('unshare', ['-m', '--propagation', 'slave', 'sh', '-c', 'echo ready; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => follower.once('exit', resolve));
  defer(t, async () => {
    follower.kill('SIGKILL');
    await ended;
  });
  await createInterface(follower.stdout)[Symbol.asyncIterator]().next();
  await serving.ask('create', 'host', '--host');
  await addHostDevice(t, HOSTS + 10);
  const node = `${PLACE}/loop${HOSTS + 10}`;
  const open = `: <${node}`;
  assert.equal((await command('sh', ['-c', open])).code, 0);
  const without = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-all', 'sh', '-c'];
  const copied = `mount -t tmpfs none /mnt; mkdir /mnt/dev; mount --rbind /dev /mnt/dev; : </mnt${node}`;
  const refused: [string, string[]][] = [
    ['a container whose /dev is a copy', ['unshare', '-Urm', 'sh', '-ec', copied]],
    ['another user', ['setpriv', '--reuid=100000', '--clear-groups', 'sh', '-c', open]],
    ['root without it', [...without, open]],
    ['a stat of its root', [...without, `stat ${PLACE}/`]],
    ['root in a user namespace', ['unshare', '-Ur', 'sh', '-c', open]],
    [
      'a folder that was opened before',
      ['sh', '-c', `cd ${PLACE}; exec unshare -Ur sh -c ': <loop${HOSTS + 10}'`],
    ],
  ];
  for (const [who, [file = '', ...words]] of refused) {
    const { code, stderr } = await command(file, words);
    assert.notEqual(code, 0, who);
    assert.match(stderr, /Permission denied/i, who);
  }
  const followed = await host(`nsenter -t ${follower.pid} -m sh -c 'ls -A ${PLACE}'`);
  assert.equal(followed, '', 'a namespace that follows has an empty folder');
});

test('is taken over after a kill, unmounted by a stop, and cleaned up after', async (t) => {
  const serving = await start(t, FIRST + 200);
  await addHostDevice(t, HOSTS + 20);
  const node = `${PLACE}/loop${HOSTS + 20}`;
  mkdirSync(PLACE);
  await host(`touch ${PLACE}/file`);
  const refused = await serving.loopfs('create', 'host', '--host');
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /not empty/);
  assert.deepEqual(await serving.ask('list'), []);
  await host(`rm ${PLACE}/file`);
  await serving.ask('create', 'host', '--host');
  await serving.kill();
  assert.equal((await command('ls', [PLACE])).code, 2);
  await serving.start();
  assert.ok(existsSync(node));
  assert.equal(mounts().length, 2);
  await serving.stop();
  assert.deepEqual([mounts(), existsSync(PLACE)], [[], false]);
  await serving.start();
  assert.ok(existsSync(node));
  await serving.kill();
  await host(`umount -l ${PLACE}`);
  await serving.start();
  assert.equal(mounts().length, 2);
  // By hand, the mount alone: the rest goes after it.
  await host(`umount -l ${PLACE}`);
  for (let tries = 0; existsSync(PLACE) && tries < 100; tries++) await serving.ask('list');
  assert.deepEqual([mounts(), existsSync(PLACE), await serving.ask('list')], [[], false, []]);
});
