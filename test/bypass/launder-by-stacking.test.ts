/** The attacker puts one device on another, so that the one above is nobody's, or the host's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { host, openContainer } from '../support/shell.js';
import { setStage, told, usernsOf } from '../support/stage.js';

test('loop on loop: each device is whose ioctl attached it, and the log has the one below', async (t) => {
  const stage = await setStage(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const [below, above] = [stage.device(35_001), stage.device(35_002)];
  await box.run(`losetup ${below} ${stage.image}; losetup ${above} ${below}`);
  const lines = (await stage.ioctls()).filter(({ command }) => command === 'LOOP_CONFIGURE');
  const userns = await usernsOf(box.pid);
  assert.deepEqual(lines.map(told), Array(2).fill(`LOOP_CONFIGURE ok by ${userns}`));
  assert.deepEqual(
    lines.map(({ backing }) => backing.path),
    [stage.image, below],
  );
  const reports = await Promise.all([below, above].map((path) => stage.agent.ask(`devices${path.slice(4)}`)));
  assert.ok(reports.every(({ owner, hidden }) => owner.userns.inum === userns && hidden));
  await box.run(`losetup -d ${above}; losetup -d ${below}`);
  assert.deepEqual(await stage.hostHears(), []);
});

test('a device of the host’s on one of a container’s is the host’s: the host asked for it', async (t) => {
  const stage = await setStage(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const [below, above] = [stage.device(35_001), stage.device(35_002)];
  await box.run(`losetup ${below} ${stage.image}`);
  await host(`losetup ${above} ${below}; losetup -d ${above}`);
  const heard = await stage.hostHears();
  assert.ok(heard.filter((event) => event === 'change loop35002').length >= 2);
  assert.ok(!heard.some((event) => event.includes('35001')));
});
