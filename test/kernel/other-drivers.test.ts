/** Loop is the first driver, not a special case: a disk that a user namespace brings into being by another one is its own. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { eventsOfDisk } from '../support/disk-events.js';
import { host, openContainer } from '../support/shell.js';
import { type Stage, setStage, usernsOf } from '../support/stage.js';
import { skipWithoutUblk, startUblk } from '../support/ublk.js';
import { udevDatabase } from '../support/udevd.js';
import { eventually } from '../support/wait.js';
import { ADD_ZRAM, removeZram, skipWithoutZram, zramOf } from '../support/zram.js';

const skip = await skipWithoutZram();
const skipUblk = await skipWithoutUblk();
const actions = (events: string[]): string[] => events.map((event) => event.split(' ')[0] ?? '');

/** Each uevent of its life was, and the log says so. */
async function assertHidden({ agent }: Stage, name: string): Promise<void> {
  await agent.settle();
  const told = agent.audit().filter(({ kind, device }) => kind === 'uevent' && device.name === name);
  assert.deepEqual([told[0]?.command, told.at(-1)?.command], ['add', 'remove']);
  assert.ok(told.every(({ verdict, rule }) => verdict === 'hide' && rule === 'creator'));
}

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
  await assertHidden(stage, disk.name);
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

for (const end of ['it stops it', 'it is killed'] as const)
  test(`a ublk disk that a user namespace makes, without any privilege, is its own until ${end}`, {
    skip: skipUblk,
  }, async (t) => {
    const stage = await setStage(t, { udevd: true });
    const before = udevDatabase();
    const { attacker, name, userns } = await startUblk(t, 'userns');
    const events = eventsOfDisk(name);
    const report = await stage.agent.ask(`devices/${name}`);
    assert.deepEqual([report.owner.as, report.hidden, report.owner.userns.inum], ['creator', true, userns]);
    await host(`echo change >/sys/block/${name}/uevent; udevadm settle`);
    if (end === 'it stops it') {
      attacker.go();
      assert.equal(await attacker.says(), 'stopped');
    } else await attacker.kill();
    await eventually('the disk is gone', () => !existsSync(`/sys/block/${name}`));
    await host('udevadm settle');
    assert.deepEqual(await stage.hostHears(events), []);
    assert.deepEqual(udevDatabase(), before);
    await assertHidden(stage, name);
  });

test('a ublk disk of the host’s reaches the host', { skip: skipUblk }, async (t) => {
  const stage = await setStage(t);
  const { attacker, name } = await startUblk(t, 'host');
  const events = eventsOfDisk(name);
  attacker.go();
  assert.equal(await attacker.says(), 'stopped');
  const heard = actions((await stage.hostHears(events)).filter((event) => event.endsWith(name)));
  assert.deepEqual([heard[0], heard.at(-1)], ['add', 'remove']);
});
