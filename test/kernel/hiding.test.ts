/** The host's udev never hears of a container's device, and misses nothing of the host's own. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type AuditLine, agentEnvironment, startAgent } from '../support/agent-process.js';
import { tempImage } from '../support/image.js';
import { ioctls, LOOP_CTL_ADD, LOOP_CTL_REMOVE } from '../support/ioctl.js';
import { type Monitor, startMonitor, type Uevent } from '../support/monitor.js';
import { removeDevice } from '../support/remove-device.js';
import { command, container, host } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { startUdevd, udevDatabase } from '../support/udevd.js';
import { eventually } from '../support/wait.js';

const CYCLES = 200;
const NAMESPACES = 4;

/** Attach, write (so that udevd's inotify watch fires), detach. */
const cycle = (image: string): string =>
  `d=$(losetup -f --show ${image}); echo written | dd of=$d conv=notrunc status=none; losetup -d $d`;

const repeat = (times: number, script: string): string => `for i in $(seq ${times}); do ${script}; done`;

test('hides 200 attachments by user namespaces from udevd and from monitors old and new', async (t) => {
  await startUdevd(t);
  const image = tempImage(t);
  const agent = await startAgent(t);
  // udevd has seen every device, and watches them.
  await host(repeat(8, cycle(image)));
  await host('udevadm settle');
  const before = await startMonitor(t);
  const database = udevDatabase();
  const monitors: Monitor[] = [before];

  const storm = Promise.all(
    Array.from({ length: NAMESPACES }, async () => {
      const own = tempImage(t);
      for (let round = 0; round < 10; round++) await container(repeat(CYCLES / NAMESPACES / 10, cycle(own)));
    }),
  );
  let going = true;
  void storm.finally(() => {
    going = false;
  });
  while (going && monitors.length < 12) monitors.push(await startMonitor(t));
  await storm;
  for (const monitor of monitors) await monitor.catchUp();

  assert.ok(monitors.length > 3, 'monitors were started during the storm');
  assert.deepEqual(
    monitors.map((monitor) => monitor.loopEvents()),
    monitors.map(() => []),
  );
  await host('udevadm settle');
  assert.deepEqual(udevDatabase(), database);

  await agent.settle();
  const configured = agent
    .audit()
    .filter(
      (line) => line.command === 'LOOP_CONFIGURE' && line.result === 'ok' && line.caller.userns.level > 0,
    );
  assert.equal(configured.length, CYCLES);
  for (const line of configured) {
    assert.equal(line.owner.after, line.caller.userns.id);
    assert.match(line.backing.path, /disk\.img$/);
    assert.ok(line.device.diskseq > 0);
  }
});

test('delivers every event of the host, in order, while containers use the same devices', async (t) => {
  await startUdevd(t);
  // A copy of udevadm on the allow-list hears everything: what was really sent.
  const witness = join(tempFolder(t), 'udevadm');
  copyFileSync((await command('sh', ['-c', 'command -v udevadm'])).stdout.trim(), witness);
  const agent = await startAgent(t, agentEnvironment(t, { LOOPWARDEN_RECEIVERS_ALLOW: witness }));
  const everything = await startMonitor(t, witness);
  await eventually('the witness is allowed', async () =>
    ((await agent.json('doctor')) as { receivers: { executable: string; class: string }[] }).receivers.some(
      (receiver) => receiver.executable === witness && receiver.class === 'allowed',
    ),
  );
  const hosts = await startMonitor(t);

  const hostImage = tempImage(t);
  await Promise.all([
    host(repeat(CYCLES, cycle(hostImage))),
    ...Array.from({ length: NAMESPACES }, () => container(repeat(CYCLES / NAMESPACES, cycle(tempImage(t))))),
  ]);
  await everything.catchUp();
  await hosts.catchUp();
  await agent.settle();

  const lives = livesOf(agent.audit());
  const isOwned = (event: Uevent): boolean => lifeOf(lives, event)?.caller.userns.level > 0;
  const sent = everything.loopEvents();
  const seqnums = (events: Uevent[]): number[] => events.map((event) => Number(event.SEQNUM));
  assert.equal(lives.length, 2 * CYCLES);
  assert.ok(sent.filter(isOwned).length >= 3 * CYCLES, 'the witness hears of the containers’ devices');
  assert.deepEqual(seqnums(hosts.loopEvents()), seqnums(sent.filter((event) => !isOwned(event))));
  assert.ok(hosts.loopEvents().length >= 3 * CYCLES);
});

/** Every attachment, as its line of the log. */
function livesOf(audit: AuditLine[]): AuditLine[] {
  return audit.filter((line) => line.command === 'LOOP_CONFIGURE' && line.result === 'ok');
}

/** The life an event is about: diskseq grows with each attachment and each detachment of any disk. */
function lifeOf(lives: AuditLine[], event: Uevent): AuditLine | undefined {
  const ofDevice = lives.filter(
    (line) =>
      event.DEVNAME === `/dev/${line.device.name}` && Number(line.device.diskseq) <= Number(event.DISKSEQ),
  );
  return ofDevice.sort((a, b) => Number(b.device.diskseq) - Number(a.device.diskseq))[0];
}

test('hides devices that user namespaces make and remove, bdi included, and shows those of the host', async (t) => {
  await startUdevd(t);
  const agent = await startAgent(t);
  const monitor = await startMonitor(t);
  const database = udevDatabase();
  const make = (number: number, times: number): string =>
    ioctls(
      '/dev/loop-control',
      Array.from({ length: times }, () => [LOOP_CTL_ADD, LOOP_CTL_REMOVE])
        .flat()
        .map((request) => [request, number]),
    );

  await container(make(777, CYCLES));
  await monitor.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);
  await host('udevadm settle');
  assert.deepEqual(udevDatabase(), database);

  await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, 778]]));
  // udevd hears of this one, and opens it: until it has closed it again, the kernel removes nothing.
  await host('udevadm settle');
  await removeDevice(778);
  await monitor.catchUp();
  const heard = monitor.loopEvents().map((event) => `${event.ACTION} ${event.DEVPATH}`);
  assert.deepEqual(heard.sort(), [
    'add /devices/virtual/bdi/7:778',
    'add /devices/virtual/block/loop778',
    'remove /devices/virtual/bdi/7:778',
    'remove /devices/virtual/block/loop778',
  ]);

  await agent.settle();
  const lines = agent.audit().filter((line) => line.device?.name === 'loop777' && line.kind === 'ioctl');
  const count = (name: string): number =>
    lines.filter((line) => line.command === name && line.result === 'ok').length;
  assert.deepEqual([count('LOOP_CTL_ADD'), count('LOOP_CTL_REMOVE')], [CYCLES, CYCLES]);
  const metrics = await agent.metrics();
  assert.equal(metrics.get('loopwarden_loop_ioctls_total{command="LOOP_CTL_ADD",result="ok"}'), CYCLES + 1);
  assert.equal(metrics.get('loopwarden_uevents_total{subsystem="bdi",action="add",verdict="hide"}'), CYCLES);
  for (const line of lines.filter((each) => each.command === 'LOOP_CTL_ADD'))
    assert.equal(line.owner.after, line.caller.userns.id);
});
