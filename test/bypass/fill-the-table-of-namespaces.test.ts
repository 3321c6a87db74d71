/** The attacker makes user namespaces, one after another, until the table of those that are known is full, and nobody after it is known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attack, said } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { startReceiver } from '../support/receiver.js';
import { KERNEL } from '../support/scale.js';
import { openContainer } from '../support/shell.js';
import { setStage, told, usernsOf } from '../support/stage.js';
import { eventually } from '../support/wait.js';

/** Half of it must last for a second: an emulated machine makes fewer. */
const SIZE = KERNEL === undefined ? 4096 : 128;
const MADE = SIZE + SIZE / 4;

/** In each of them it asks for a device that has no file. */
const CROWD = `
device = add_device(int(sys.argv[1]))
made = 0
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        system_call(SYS_UNSHARE, CLONE_NEWUSER)
        os._exit(0 if ioctl(device, LOOP_GET_STATUS64, bytes(232)) == "ENXIO" else 1)
    made += os.waitpid(child, 0)[1] == 0
say(made)`;
const ATTACH = `
enter_new_userns()
say({"result": configure(add_device(int(sys.argv[1])), open_file(sys.argv[2])), "userns": userns()})`;

test('whoever comes after the crowd is known, with all above it', async (t) => {
  const stage = await setStage(t, { env: { LOOPWARDEN_LIMITS_USER_NAMESPACES: String(SIZE) } });
  const [, device] = [stage.device(35_001), stage.device(35_002)];
  const attacker = await openContainer();
  defer(t, () => attacker.leave());
  assert.deepEqual(said(await attacker.run(attack(CROWD, 35_001, MADE))), [MADE]);

  const victim = await openContainer();
  defer(t, () => victim.leave());
  const above = await startReceiver(t, victim.pid);
  await eventually('it is filtered', async () => {
    const receivers: { pid: number; class: string }[] = await stage.agent.ask('receivers');
    return receivers.some((each) => each.pid === above.pid && each.class === 'filtered');
  });
  const [inner] = said(await victim.run(attack(ATTACH, 35_002, stage.image)));
  assert.equal(inner.result, 0);

  const { owner } = await stage.agent.ask('devices/loop35002');
  assert.deepEqual([owner.userns.inum, owner.userns.level], [inner.userns, 2]);
  assert.notEqual(inner.userns, await usernsOf(victim.pid));
  const lines = await stage.ioctls(device);
  assert.deepEqual(lines.map(told), [
    `LOOP_CTL_ADD ok by ${inner.userns}`,
    `LOOP_CONFIGURE ok by ${inner.userns}`,
  ]);
  assert.equal(lines[1].owner.after, owner.userns.id);
  assert.deepEqual(await stage.hostHears(), []);
  await above.catchUp();
  assert.ok(above.loopEvents() >= 3, `who is above it heard ${above.loopEvents()}`);
});
