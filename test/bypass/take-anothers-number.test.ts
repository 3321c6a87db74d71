/** The attacker removes a device that another container made, and makes it again as its own: the kernel lets it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { ioctls, LOOP_CTL_ADD, LOOP_CTL_REMOVE } from '../support/ioctl.js';
import { host, openContainer } from '../support/shell.js';
import { setStage } from '../support/stage.js';

const NUMBER = 35_001;

test('each step is its caller’s, and the device belongs to who made it last', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const [victim, thief] = [await openContainer(), await openContainer()];
  for (const box of [victim, thief]) defer(t, () => box.leave());
  const control = (...requests: number[]) =>
    ioctls(
      '/dev/loop-control',
      requests.map((request) => [request, NUMBER]),
    );
  await victim.run(control(LOOP_CTL_ADD));
  // In use, it is nobody's to take.
  await victim.run(`losetup ${device} ${stage.image}`);
  assert.equal(await thief.run(control(LOOP_CTL_ADD, LOOP_CTL_REMOVE)), 'EEXIST\nEBUSY');
  await victim.run(`losetup -d ${device}`);
  assert.match(await thief.run(control(LOOP_CTL_REMOVE, LOOP_CTL_ADD)), /^\d+\n35001$/);

  const lines = (await stage.ioctls(device)).filter(({ caller }) => caller.comm === 'python3');
  const [mine, theirs] = [lines[0], lines[1]].map(({ caller }) => caller.userns.id);
  assert.notEqual(mine, theirs);
  assert.deepEqual(
    lines.map(({ command, result, owner }) => [command, result, owner.before, owner.after]),
    [
      ['LOOP_CTL_ADD', 'ok', 0, mine],
      ['LOOP_CTL_ADD', 'EEXIST', mine, mine],
      ['LOOP_CTL_REMOVE', 'EBUSY', mine, mine],
      ['LOOP_CTL_REMOVE', 'ok', mine, 0],
      ['LOOP_CTL_ADD', 'ok', 0, theirs],
    ],
  );
  assert.equal((await stage.agent.ask(`devices/loop${NUMBER}`)).owner.as, 'creator');
  assert.deepEqual(await stage.hostHears(), []);
});

test('a device of the host’s that a container removes is gone for the host, too, which hears of it', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, NUMBER]]));
  const thief = await openContainer();
  defer(t, () => thief.leave());
  const before = (await stage.hostHears()).length;
  await thief.run(ioctls('/dev/loop-control', [[LOOP_CTL_REMOVE, NUMBER]]));
  const heard = (await stage.hostHears()).slice(before);
  assert.deepEqual(heard.sort(), [`remove 7:${NUMBER}`, `remove loop${NUMBER}`]);
  const removal = (await stage.ioctls(device)).at(-1);
  assert.deepEqual(
    [removal.command, removal.result, removal.caller.userns.level],
    ['LOOP_CTL_REMOVE', 'ok', 1],
  );
});
