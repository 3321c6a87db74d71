/** Loop is the first driver, not a special case: a disk that a user namespace brings into being by another one is its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { host, openContainer } from '../support/shell.js';
import { setStage, usernsOf } from '../support/stage.js';
import { udevDatabase } from '../support/udevd.js';
import { ADD_ZRAM, removeZram, skipWithoutZram, zramOf } from '../support/zram.js';

const skip = await skipWithoutZram();
const actions = (events: string[]): string[] => events.map((event) => event.split(' ')[0] ?? '');

test('a zram disk that a user namespace makes is its own from the first event to the last, whoever uses it', {
  skip,
}, async (t) => {
  const stage = await setStage(t, { udevd: true });
  const before = udevDatabase();
  const box = await openContainer();
  defer(t, () => box.leave());
  const number = Number(await box.run(ADD_ZRAM));
  const disk = zramOf(t, number);
  const report = await stage.agent.ask(`devices/${disk.name}`);
  assert.deepEqual([report.owner.as, report.hidden, report.on], ['creator', true, []]);
  assert.equal(report.owner.userns.inum, await usernsOf(box.pid));
  // A size, and what the host says of it.
  await box.run(`echo 1M >/sys/block/${disk.name}/disksize`);
  await host(`echo change >/sys/block/${disk.name}/uevent`);
  await host('udevadm settle');
  assert.deepEqual(udevDatabase(), before);
  await box.run(removeZram(number));
  assert.deepEqual(await stage.hostHears(disk.events), []);
  await stage.agent.settle();
  const told = stage.agent
    .audit()
    .filter(({ kind, device }) => kind === 'uevent' && device.name === disk.name);
  assert.deepEqual([told[0]?.command, told.at(-1)?.command], ['add', 'remove']);
  assert.ok(told.every(({ verdict, rule }) => verdict === 'hide' && rule === 'creator'));
});

test('one that the host makes is the host’s, also with the number that a container’s had', {
  skip,
}, async (t) => {
  const stage = await setStage(t, { udevd: true });
  const box = await openContainer();
  defer(t, () => box.leave());
  const number = Number(await box.run(ADD_ZRAM));
  const theirs = zramOf(t, number);
  await box.run(removeZram(number));
  assert.deepEqual(await stage.hostHears(theirs.events), []);
  const again = Number(await host(ADD_ZRAM));
  assert.equal(again, number);
  await host('udevadm settle');
  await host(removeZram(again));
  const heard = await stage.hostHears(theirs.events);
  assert.deepEqual(actions(heard.filter((event) => event.endsWith(theirs.name))), ['add', 'remove']);
  assert.equal(actions(heard).filter((action) => action === 'add').length, 2, 'the disk and its bdi');
});
