/** What the host puts on a container's device is the container's too, race-free where the kernel's functions can be hooked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { ANNOUNCED_EMPTY, mapDevice, skipWithoutMapper } from '../support/device-mapper.js';
import { tempImage } from '../support/image.js';
import { skipWithoutMd, startArray } from '../support/md.js';
import { addPartition, deletePartition } from '../support/partition.js';
import { host, openContainer } from '../support/shell.js';
import { type Stage, setStage } from '../support/stage.js';
import { udevDatabase } from '../support/udevd.js';
import { eventually } from '../support/wait.js';

const skip = await skipWithoutMapper();
const SECTORS = 2048;
const linear = (path: string, from = 0): string => `${from} ${SECTORS} linear ${path} 0`;
const actions = (events: string[]): string[] => events.map((event) => event.split(' ')[0] ?? '');
const kinds = (events: string[]): string[] => [...new Set(actions(events))];

/** What kinds of events the host hears of a device of device-mapper that is hidden from its first table to its end. */
const ENDS = ANNOUNCED_EMPTY ? ['add', 'remove'] : [];

/** A stage with udevd, a device that a container has attached, and one of the host's. */
async function setDevices(
  t: Parameters<typeof setStage>[0],
): Promise<{ stage: Stage; theirs: string; ours: string }> {
  const stage = await setStage(t, { udevd: true });
  const [theirs, ours] = [stage.device(35_001), stage.device(35_002)];
  const box = await openContainer();
  defer(t, () => box.leave());
  await box.run(`losetup ${theirs} ${stage.image}`);
  await host(`losetup ${ours} ${tempImage(t)}; udevadm settle`);
  return { stage, theirs, ours };
}

/** Its name in the log, the verdict and the rule of each line about it. */
async function toldOf(stage: Stage, name: string): Promise<string[]> {
  await stage.agent.settle();
  return stage.agent
    .audit()
    .filter(({ kind, device }) => kind === 'uevent' && device?.name === name)
    .map(({ command, verdict, rule }) => `${command} ${verdict} ${rule}`);
}

test('a device on a container’s is hidden from its making to its end, and dmsetup does not wait for udev in vain', {
  skip,
}, async (t) => {
  const { stage, theirs } = await setDevices(t);
  const before = udevDatabase();
  const mapping = await mapDevice(t, 'disk', [linear(theirs)], { sync: true });
  const report = await stage.agent.ask(`devices/${mapping.name}`);
  assert.deepEqual(report.on, [['loop35001']]);
  assert.deepEqual([report.owner.class, report.owner.as, report.hidden], ['userns', 'stacked', true]);
  assert.equal(report.verdict.rule, 'stacked');
  await host('udevadm settle');
  if (!ANNOUNCED_EMPTY) assert.deepEqual(udevDatabase(), before);
  await mapping.remove();
  assert.deepEqual(kinds(await stage.hostHears(mapping.events)), ENDS);
  await host('udevadm settle');
  assert.deepEqual(udevDatabase(), before);
  const told = await toldOf(stage, mapping.name);
  assert.ok(told.includes('change hide stacked'), told.join());
  if (!ANNOUNCED_EMPTY)
    assert.ok(told.every((line) => line.endsWith('hide stacked')) && told.length >= 3, told.join());
});

test('a device on the host’s own is the host’s: each of its events arrives, and udev has it', {
  skip,
}, async (t) => {
  const { stage, ours } = await setDevices(t);
  const mapping = await mapDevice(t, 'ours', [linear(ours)], { sync: true });
  await host('udevadm settle');
  assert.ok(Object.keys(udevDatabase()).length > 0);
  await mapping.remove();
  const heard = (await stage.hostHears(mapping.events)).filter((event) => event.endsWith(mapping.name));
  assert.deepEqual(kinds(heard), ['add', 'change', 'remove']);
  assert.deepEqual(await toldOf(stage, mapping.name), []);
});

test('on a partition, and on what stands on it: at any depth, and all of it is listed', {
  skip,
}, async (t) => {
  const { stage, theirs } = await setDevices(t);
  await host(addPartition(theirs, 1, 2048, 4096));
  const first = await mapDevice(t, 'first', [linear(`${theirs}p1`)]);
  const second = await mapDevice(t, 'second', [linear(first.path)]);
  const list = await stage.agent.json('devices', '-o', 'NAME,ON,OWNER,HIDDEN');
  const row = list.find(({ name }: { name: string }) => name === second.name);
  assert.deepEqual(row, {
    name: second.name,
    on: [[first.name, 'loop35001p1', 'loop35001']],
    owner: 'userns',
    hidden: true,
  });
  const { stdout } = await stage.agent.cli('explain', second.name);
  assert.match(stdout, new RegExp(`stands on +${first.name} on loop35001p1 on loop35001`));
  await second.remove();
  await first.remove();
  await host(deletePartition(theirs, 1));
  for (const { events } of [first, second]) assert.deepEqual(kinds(await stage.hostHears(events)), ENDS);
  assert.deepEqual(
    (await stage.hostHears()).filter((event) => event.includes('35001')),
    [],
  );
});

test('one container’s device among the host’s is enough, wherever it is in the table', {
  skip,
}, async (t) => {
  const { stage, theirs, ours } = await setDevices(t);
  const mapping = await mapDevice(t, 'mixed', [linear(ours), linear(theirs, SECTORS)]);
  assert.equal((await stage.agent.ask(`devices/${mapping.name}`)).hidden, true);
  await mapping.remove();
  assert.deepEqual(kinds(await stage.hostHears(mapping.events)), ENDS);
});

test('a table that leads elsewhere: what leaves a container’s device is handed over, what comes to it is hidden', {
  skip,
}, async (t) => {
  const { stage, theirs, ours } = await setDevices(t);
  const leaving = await mapDevice(t, 'leaving', [linear(theirs)]);
  const coming = await mapDevice(t, 'coming', [linear(ours)]);
  const heardOf = async ({ events, name }: typeof leaving) =>
    actions((await stage.hostHears(events)).filter((event) => event.endsWith(` ${name}`)));
  const seen = (await heardOf(coming)).length;
  await leaving.reload(linear(ours));
  const handed = ANNOUNCED_EMPTY ? 'change' : 'add';
  await eventually('it is handed over', async () => (await heardOf(leaving)).at(-1) === handed, 30_000);
  assert.equal((await stage.agent.ask(`devices/${leaving.name}`)).hidden, false);
  await leaving.remove();
  assert.equal((await heardOf(leaving)).at(-1), 'remove');

  await coming.reload(linear(theirs));
  assert.equal((await stage.agent.ask(`devices/${coming.name}`)).hidden, true);
  assert.equal((await heardOf(coming)).length, seen);
  // The host knows it from before: its udev is to forget it.
  await coming.remove();
  assert.deepEqual([...new Set((await heardOf(coming)).slice(seen))], ['remove']);
});

test('an array of md is the host’s until it has a member of a container’s; the host hears of its end', {
  skip: await skipWithoutMd(),
}, async (t) => {
  const { stage, theirs } = await setDevices(t);
  const array = await startArray(t, 127, theirs);
  const heard = async (): Promise<string[]> =>
    actions((await stage.hostHears(array.events)).filter((event) => event.endsWith(` ${array.name}`)));
  const report = await stage.agent.ask(`devices/${array.name}`);
  assert.deepEqual([report.owner.as, report.hidden, report.on], ['stacked', true, [['loop35001']]]);
  // It is announced before it has any member.
  assert.equal((await heard())[0], 'add');
  const before = await heard();
  await host(`echo change >/sys/block/${array.name}/uevent`);
  assert.deepEqual(await heard(), before);
  await array.stop();
  await eventually('the host hears of its end', async () => (await heard()).at(-1) === 'remove', 30_000);
});
