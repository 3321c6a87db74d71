/** Who owns a device decides who hears of it: its partitions, its bdi, other namespaces, the host again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { ask as httpGet } from '../support/http-get.js';
import { tempImage } from '../support/image.js';
import { ioctls, LOOP_CTL_ADD } from '../support/ioctl.js';
import { startMonitor } from '../support/monitor.js';
import { addPartition, deletePartition } from '../support/partition.js';
import { startReceiver } from '../support/receiver.js';
import { removeDevice } from '../support/remove-device.js';
import { host, openContainer } from '../support/shell.js';
import { startUdevd } from '../support/udevd.js';
import { eventually } from '../support/wait.js';

test('hides a partition of a container’s disk, and shows one of the host’s', async (t) => {
  await startUdevd(t);
  const [ownedImage, hostImage] = [tempImage(t), tempImage(t)];
  await startAgent(t);
  const monitor = await startMonitor(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const owned = await box.run(`losetup -f --show ${ownedImage}`);
  // This kernel scans no partition tables, so the host adds one: the emitter is the host, the owner is not.
  await host(`${addPartition(owned, 1, 0, 2048)}; ${deletePartition(owned, 1)}`);
  const hosts = await host(`losetup -f --show ${hostImage}`);
  const come = `udevadm settle; ${addPartition(hosts, 1, 0, 2048)}`;
  await host(`${come}; udevadm settle; ${deletePartition(hosts, 1)}`);
  await monitor.catchUp();

  const partitions = monitor.loopEvents().filter((event) => event.DEVTYPE === 'partition');
  assert.deepEqual(
    partitions
      .map((event) => `${event.ACTION} ${event.DEVNAME}`)
      .filter((text) => !text.startsWith('change')),
    [`add ${hosts}p1`, `remove ${hosts}p1`],
  );
});

test('hides synthetic uevents of a container’s device, whoever writes them', async (t) => {
  await startUdevd(t);
  const image = tempImage(t);
  await startAgent(t);
  const monitor = await startMonitor(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const name = (await box.run(`losetup -f --show ${image}`)).replace('/dev/', '');
  await host(
    `echo change > /sys/block/${name}/uevent; echo add > /sys/block/${name}/uevent; udevadm trigger --sysname-match=${name}`,
  );
  await monitor.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);
});

test('delivers a container’s device to receivers of its own namespace and of its ancestors, to no other container', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const [owner, stranger] = [await openContainer(), await openContainer()];
  defer(t, () => owner.leave());
  defer(t, () => stranger.leave());
  const own = await startReceiver(t, owner.pid);
  const other = await startReceiver(t, stranger.pid);
  const hosts = await startReceiver(t);
  await eventually('all receivers are filtered', async () => {
    const { receivers } = (await agent.json('doctor')) as { receivers: { pid: number; class: string }[] };
    return [own, other, hosts].every(({ pid }) =>
      receivers.some((each) => each.pid === pid && each.class === 'filtered'),
    );
  });

  // A namespace below the owner's: the owner's receiver is an ancestor of that.
  await owner.run(`unshare -Ur sh -ec 'd=$(losetup -f --show ${image}); losetup -d $d'`);
  await owner.run(`d=$(losetup -f --show ${image}); losetup -d $d`);
  for (const receiver of [own, other, hosts]) await receiver.catchUp();

  assert.ok(own.loopEvents() >= 4, `the owner hears of its devices: ${own.loopEvents()}`);
  assert.equal(other.loopEvents(), 0);
  assert.equal(hosts.loopEvents(), 0);
  const metrics = await agent.metrics();
  const delivered = (rule: string): number =>
    metrics.get(`loopwarden_uevent_deliveries_total{verdict="deliver",rule="${rule}"}`) ?? 0;
  assert.ok(delivered('receiver_owns') > 0);
  assert.ok(delivered('receiver_is_ancestor') > 0);
});

test('makes a device that a container made the host’s when the host attaches a file, and tells udevd of it', async (t) => {
  await startUdevd(t);
  const image = tempImage(t);
  const agent = await startAgent(t);
  const monitor = await startMonitor(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  defer(t, () => removeDevice(779));
  await box.run(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, 779]]));
  assert.equal((await agent.json('explain', 'loop779')).owner.as, 'creator');
  await monitor.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);

  await host(`losetup /dev/loop779 ${image}`);
  const add = await eventually('udevd is told of the device', () =>
    monitor.loopEvents().find((event) => event.ACTION === 'add'),
  );
  assert.equal(add.DEVNAME, '/dev/loop779');
  const report = await agent.json('explain', 'loop779');
  assert.deepEqual([report.owner.class, report.hidden], ['initial', false]);
  await host('losetup -d /dev/loop779; udevadm settle');
});

test('gives a device of the host back when the container lets go of it', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const device = await box.run(`losetup -f --show ${image}`);
  const held = await agent.json('explain', device);
  assert.deepEqual(
    [held.owner.class, held.owner.as, held.hidden, held.verdict.rule],
    ['userns', 'holder', true, 'holder'],
  );
  assert.equal(held.attachedBy.comm, 'losetup');
  await box.run(`losetup -d ${device}`);
  const free = await eventually('the life has ended', async () => {
    const report = await agent.json('explain', device);
    return report.state === 'unbound' && report;
  });
  assert.deepEqual([free.owner.class, free.hidden], ['unknown', false]);
});

test('calls a device an orphan, still hidden, when its owner’s namespace is gone', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const box = await openContainer();
  const device = await box.run(`losetup -f --show ${image}`);
  await box.leave();
  const report = await eventually('the device is an orphan', async () => {
    const now = await agent.json('explain', device);
    return now.orphan === true && now;
  });
  assert.equal(report.hidden, true);
  assert.equal((await agent.metrics()).get('loopwarden_orphans'), 1);
});

test('only counts in observe mode', async (t) => {
  await startUdevd(t);
  const image = tempImage(t);
  const agent = await startAgent(t);
  assert.equal((await agent.cli('filter', 'observe')).code, 0);
  const monitor = await startMonitor(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const cycle = `d=$(losetup -f --show ${image}); losetup -d $d`;
  await box.run(cycle);
  // Its udevd hears of it, too, and answers with an event of its own, by its watch on the node.
  let seen = -1;
  await eventually('the host’s udevd is done with it', async () => {
    const before = seen;
    await host('udevadm settle');
    await delay(300);
    await monitor.catchUp();
    seen = monitor.loopEvents().length;
    return seen === before;
  });
  assert.ok(seen > 0);

  assert.equal((await agent.cli('filter', 'off')).code, 0);
  const { receivers } = await agent.json('doctor');
  assert.ok(receivers.every((receiver: { class: string }) => receiver.class === 'unfiltered'));
  assert.equal((await httpGet(`${agent.url}/readyz`)).status, 503);

  assert.equal((await agent.cli('filter', 'on')).code, 0);
  await box.run(cycle);
  await monitor.catchUp();
  assert.equal(monitor.loopEvents().length, seen);
  assert.equal((await httpGet(`${agent.url}/readyz`)).status, 200);
});
