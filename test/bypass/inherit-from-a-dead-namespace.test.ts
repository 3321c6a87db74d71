/** The attacker makes user namespaces until one has the number of a dead one, whose devices would be its own. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { attack, said } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { startReceiver } from '../support/receiver.js';
import { openContainer } from '../support/shell.js';
import { setStage, usernsOf } from '../support/stage.js';
import { eventually } from '../support/wait.js';

/** The kernel gives the lowest free number, which others on the machine may take first. */
const TRIES = 200;

async function namespaceOfNumber(inum: number) {
  for (let tries = 0; tries < TRIES; tries++) {
    const box = await openContainer();
    if ((await usernsOf(box.pid)) === inum) return box;
    await box.leave();
  }
  throw new Error(`no new user namespace was given the number ${inum}`);
}

/** Not attached: the file that a device has keeps the namespace that opened it, whose number then stays taken. */
const MAKE = attack('say(add_device(35001) > 0)');
const ATTACH = 'say(configure(add_device(35002), open_file(sys.argv[1])))';

test('a namespace of the same number has nothing of the dead one’s, and hears nothing of it', async (t) => {
  const stage = await setStage(t);
  const [orphaned, own] = [stage.device(35_001), stage.device(35_002)];
  const dead = await openContainer();
  const inum = await usernsOf(dead.pid);
  assert.deepEqual(said(await dead.run(MAKE)), [true]);
  await dead.leave();
  const heir = await namespaceOfNumber(inum);
  defer(t, () => heir.leave());
  const receiver = await startReceiver(t, heir.pid);
  await stage.agent.ask('receivers');
  assert.deepEqual(said(await heir.run(attack(ATTACH, stage.image))), [0]);
  await receiver.catchUp();
  const ofItsOwn = receiver.loopEvents();
  assert.ok(ofItsOwn >= 3, `it hears of its own device: ${ofItsOwn}`);
  writeFileSync(`/sys/block/${orphaned.replace('/dev/', '')}/uevent`, 'change');
  await receiver.catchUp();
  assert.equal(receiver.loopEvents(), ofItsOwn);

  const report = await eventually('the device is an orphan', async () => {
    const now = await stage.agent.ask('devices/loop35001');
    return now.orphan === true && now;
  });
  assert.deepEqual([report.hidden, report.owner.userns.inum], [true, inum]);
  assert.equal((await stage.agent.ask('devices/loop35002')).orphan, false);
  const [before, after] = [(await stage.ioctls(orphaned)).at(-1), (await stage.ioctls(own)).at(-1)];
  assert.equal(before.caller.userns.inum, after.caller.userns.inum);
  assert.notEqual(before.caller.userns.id, after.caller.userns.id);
  assert.deepEqual(await stage.hostHears(), []);
});
