/** With hide.devnode the nodes of hidden devices are out of the host's /dev, and come back as they were. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type AgentEnvironment, agentEnvironment, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { ioctls, LOOP_CTL_ADD, LOOP_CTL_REMOVE } from '../support/ioctl.js';
import { openLvm } from '../support/lvm.js';
import { addPartition, deletePartition } from '../support/partition.js';
import { removeDevice } from '../support/remove-device.js';
import { command, host, openContainer } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const FIRST = 36_100;
const MODE = 0o640;
const DISK_GROUP = 6;

interface Loop {
  /** In the host's /dev. */
  node: string;
  /** Of the container's own, as a runtime gives it. */
  own: string;
  name: string;
}

function environment(t: TestContext): AgentEnvironment {
  return agentEnvironment(t, {
    LOOPWARDEN_HIDE_DEVNODE: 'true',
    LOOPWARDEN_HIDE_DEVNODE_STATE: join(tempFolder(t), 'state/devnodes.json'),
  });
}

/** A device that the host has made, with a node that is not as the kernel makes it. */
async function makeLoop(t: TestContext, number: number): Promise<Loop> {
  const name = `loop${number}`;
  const own = join(tempFolder(t), name);
  defer(t, async () => {
    await command('losetup', ['-d', own]);
    await removeDevice(number);
  });
  await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, number]]));
  const minor = readFileSync(`/sys/block/${name}/dev`, 'utf8').trim().split(':')[1];
  await host(`mknod -m 666 ${own} b 7 ${minor}
    chmod ${MODE.toString(8)} /dev/${name}; chgrp ${DISK_GROUP} /dev/${name}`);
  return { node: `/dev/${name}`, own, name };
}

/** Paths of all nodes of a device below /dev, whatever they are called: what a scan finds. */
function nodesOf(name: string, devno = readFileSync(`/sys/block/${name}/dev`, 'utf8').trim()): string[] {
  const [major = 0, minor = 0] = devno.split(':').map(Number);
  const rdev = (major << 8) | (minor & 0xff) | ((minor & 0xfff00) << 12);
  const walk = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return ['/dev/shm', '/dev/pts'].includes(path) ? [] : walk(path);
      return entry.isBlockDevice() && lstatSync(path, { throwIfNoEntry: false })?.rdev === rdev ? [path] : [];
    });
  return walk('/dev');
}

const attributes = (path: string): number[] => {
  const { mode, uid, gid } = lstatSync(path);
  return [mode & 0o7777, uid, gid];
};
const gone = (path: string): Promise<unknown> => eventually(`${path} is gone`, () => !existsSync(path));
const back = (path: string): Promise<unknown> => eventually(`${path} is back`, () => existsSync(path));

test('the node of a container’s device and those of its partitions are away until it lets go', async (t) => {
  const [loop, hosts] = [await makeLoop(t, FIRST), await makeLoop(t, FIRST + 1)];
  const [image, hostImage] = [tempImage(t), tempImage(t)];
  const agent = await startAgent(t, environment(t));
  await host(`losetup ${hosts.node} ${hostImage}`);
  const box = await openContainer();
  defer(t, () => box.leave());
  await box.run(`losetup ${loop.own} ${image}`);
  await gone(loop.node);
  await host(addPartition(loop.own, 1, 0, 2048));
  const partition = readFileSync(`/sys/block/${loop.name}/${loop.name}p1/dev`, 'utf8').trim();
  await gone(`${loop.node}p1`);
  assert.deepEqual([nodesOf(loop.name), nodesOf(`${loop.name}p1`, partition)], [[], []]);
  assert.equal((await agent.metrics()).get('loopwarden_hidden_nodes'), 2);
  // The container has it as before, and the host what is its own.
  await box.run(`dd if=${loop.own} of=/dev/null bs=4096 count=1 status=none`);
  assert.deepEqual(nodesOf(hosts.name), [hosts.node]);

  await host(deletePartition(loop.own, 1));
  await box.run(`losetup -d ${loop.own}`);
  await back(loop.node);
  assert.deepEqual(attributes(loop.node), [MODE, 0, DISK_GROUP]);
  assert.deepEqual(nodesOf(loop.name), [loop.node]);
  await host(`losetup ${loop.node} ${hostImage}; losetup -d ${loop.node}; losetup -d ${hosts.node}`);
});

test('an agent that follows finds what is away, and brings back what the host got meanwhile', async (t) => {
  const loops = [await makeLoop(t, FIRST), await makeLoop(t, FIRST + 1)] as const;
  const images = [tempImage(t), tempImage(t)];
  const under = environment(t);
  const first = await startAgent(t, under);
  const box = await openContainer();
  defer(t, () => box.leave());
  for (const [at, { own, node }] of loops.entries()) {
    await box.run(`losetup ${own} ${images[at]}`);
    await gone(node);
  }
  await first.stop('SIGKILL');
  assert.ok(loops.every(({ node }) => !existsSync(node)));
  await box.run(`losetup -d ${loops[0].own}`);

  const second = await startAgent(t, under);
  await back(loops[0].node);
  assert.deepEqual(attributes(loops[0].node), [MODE, 0, DISK_GROUP]);
  assert.ok(!existsSync(loops[1].node));
  await second.stop();
  under.env.LOOPWARDEN_HIDE_DEVNODE = 'false';
  await startAgent(t, under);
  assert.deepEqual(attributes(loops[1].node), [MODE, 0, DISK_GROUP]);
  assert.ok(!existsSync(under.env.LOOPWARDEN_HIDE_DEVNODE_STATE ?? ''));
});

test('filter off and observe bring nodes back, on takes them away again, and uninstall leaves none away', async (t) => {
  const loop = await makeLoop(t, FIRST);
  const image = tempImage(t);
  const under = environment(t);
  const agent = await startAgent(t, under);
  const box = await openContainer();
  defer(t, () => box.leave());
  await box.run(`losetup ${loop.own} ${image}`);
  await gone(loop.node);
  for (const mode of ['off', 'observe']) {
    assert.equal((await agent.cli('filter', mode)).code, 0);
    assert.deepEqual(attributes(loop.node), [MODE, 0, DISK_GROUP], mode);
    assert.equal((await agent.cli('filter', 'on')).code, 0);
    assert.ok(!existsSync(loop.node), mode);
  }
  await agent.stop();
  assert.ok(!existsSync(loop.node));
  const { code, stdout } = await agent.cli('uninstall', '--json');
  assert.deepEqual([code, JSON.parse(stdout).nodes], [0, 1]);
  assert.deepEqual(attributes(loop.node), [MODE, 0, DISK_GROUP]);
});

test('whatever else has the name of a node is left alone, and is no reason to take another', async (t) => {
  const loop = await makeLoop(t, FIRST);
  const hosts = await makeLoop(t, FIRST + 1);
  const image = tempImage(t);
  const agent = await startAgent(t, environment(t));
  const impostors = [
    { make: `: >${loop.node}`, is: 'regular empty file' },
    { make: `ln -s ${hosts.node} ${loop.node}`, is: 'symbolic link' },
    { make: `cp -a ${hosts.node} ${loop.node}`, is: 'block special file' },
  ];
  const box = await openContainer();
  defer(t, () => box.leave());
  for (const { make, is } of impostors) {
    await host(`rm -f ${loop.node}; ${make}`);
    await box.run(`losetup ${loop.own} ${image}; losetup -d ${loop.own}`);
    await agent.settle();
    assert.equal(await host(`stat -c %F ${loop.node}`), is);
    assert.ok(existsSync(hosts.node));
  }
  const own = readFileSync(`/sys/block/${loop.name}/dev`, 'utf8').trim().replace(':', ' ');
  await host(`rm -f ${loop.node}; mknod -m 600 ${loop.node} b ${own}`);
});

test('a device that a container makes keeps its node until it has a file, and leaves none when it goes', async (t) => {
  const name = `loop${FIRST}`;
  const node = `/dev/${name}`;
  const image = tempImage(t);
  defer(t, () => removeDevice(FIRST));
  const agent = await startAgent(t, environment(t));
  const box = await openContainer();
  defer(t, () => box.leave());
  const add = ioctls('/dev/loop-control', [[LOOP_CTL_ADD, FIRST]]);
  const remove = ioctls('/dev/loop-control', [[LOOP_CTL_REMOVE, FIRST]]);
  for (let again = 0; again < 5; again++) {
    await box.run(add);
    await agent.settle();
    // The host may be given its number.
    assert.ok(existsSync(node));
    const own = join(tempFolder(t), name);
    await host(`cp -a ${node} ${own}; chmod 666 ${own}`);
    await box.run(`losetup ${own} ${image}`);
    await gone(node);
    // So fast that the agent may put the node back in the midst of it.
    await box.run(`losetup -d ${own}; until [ "$(${remove})" != EBUSY ]; do :; done`);
    await agent.settle();
    assert.ok(!existsSync(node), `round ${again}`);
    assert.equal((await agent.metrics()).get('loopwarden_hidden_nodes'), 0);
  }
  await host(add);
  await agent.settle();
  assert.ok(existsSync(node));
});

test('the host’s LVM does not find a volume group in a container’s image, and does without hide.devnode', async (t) => {
  const loop = await makeLoop(t, FIRST);
  const image = tempImage(t, 32 << 20);
  const lvm = await openLvm(t, '361..');
  const group = `lwtest${process.pid}`;
  await host(`losetup ${loop.node} ${image}`);
  await lvm.run('pvcreate', '-q', loop.node);
  await lvm.run('vgcreate', '-q', group, loop.node);
  assert.deepEqual(await lvm.groups(), [group]);
  await host(`losetup -d ${loop.node}`);

  const under = environment(t);
  for (const devnode of [true, false]) {
    under.env.LOOPWARDEN_HIDE_DEVNODE = String(devnode);
    const agent = await startAgent(t, under);
    const box = await openContainer();
    await box.run(`losetup ${loop.own} ${image}`);
    if (devnode) await gone(loop.node);
    await agent.settle();
    assert.deepEqual(await lvm.groups(), devnode ? [] : [group], `hide.devnode ${devnode}`);
    const scanned = await lvm.run('pvscan');
    assert.equal(scanned.includes(loop.node), !devnode, scanned);
    await box.run(`losetup -d ${loop.own}`);
    await box.leave();
    if (devnode) await back(loop.node);
    await agent.stop();
  }
});

test('without the right to make nodes the agent refuses to take any away', async (t) => {
  const { env } = environment(t);
  const main = join(process.cwd(), 'dist/main.js');
  const { code, stderr } = await command(
    'setpriv',
    ['--bounding-set', '-mknod', '--inh-caps', '-all', process.execPath, main, 'run'],
    env,
  );
  assert.equal(code, 77, stderr);
  assert.match(stderr, /cannot reach the nodes of devices: .*devices\.conf/);
});
