/** What the host puts on a container's device is the container's too, race-free where the kernel's functions can be hooked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANNOUNCED_EMPTY, mapDevice, skipWithoutMapper } from '../support/device-mapper.js';
import { addPartition, deletePartition } from '../support/partition.js';
import { host } from '../support/shell.js';
import { actions, linear, setDevices } from '../support/stacking.js';
import type { Stage } from '../support/stage.js';
import { udevDatabase } from '../support/udevd.js';

const skip = await skipWithoutMapper();
const kinds = (events: string[]): string[] => [...new Set(actions(events))];

/** What kinds of events the host hears of a device of device-mapper that is hidden from its first table to its end. */
const ENDS = ANNOUNCED_EMPTY ? ['add', 'remove'] : [];

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
  const mapping = await mapDevice(t, 'mixed', [linear(ours), linear(theirs, 2048)]);
  assert.equal((await stage.agent.ask(`devices/${mapping.name}`)).hidden, true);
  await mapping.remove();
  assert.deepEqual(kinds(await stage.hostHears(mapping.events)), ENDS);
});
