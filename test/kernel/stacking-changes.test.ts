/** What comes to a container's device, or leaves it, when the host has known it before, or is to know it after. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANNOUNCED_EMPTY, mapDevice, skipWithoutMapper } from '../support/device-mapper.js';
import { skipWithoutMd, startArray } from '../support/md.js';
import { host } from '../support/shell.js';
import { actions, linear, setDevices } from '../support/stacking.js';
import { eventually } from '../support/wait.js';

const skip = await skipWithoutMapper();

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
