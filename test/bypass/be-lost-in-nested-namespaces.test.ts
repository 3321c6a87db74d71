/** The attacker nests user namespaces as deep as the kernel lets it, so that nobody finds the way up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { startReceiver } from '../support/receiver.js';
import { openContainer } from '../support/shell.js';
import { setStage, told } from '../support/stage.js';
import { eventually } from '../support/wait.js';

/** kernel/user_namespace.c: a namespace of level 32 makes a last one. */
const DEEPEST = 33;

const SCRIPT = `
number, image = int(sys.argv[1]), sys.argv[2]
enter_userns_of(sys.argv[3])
depth = 1
try:
    while True:
        enter_new_userns()
        depth += 1
except OSError: pass
device = add_device(number)
say({"depth": depth, "result": configure(device, open_file(image)), "userns": userns()})
wait_for_test()
`;

test('a device of the deepest namespace is that one’s, and its ancestors alone hear of it', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const [ancestor, stranger] = [await openContainer(), await openContainer()];
  for (const box of [ancestor, stranger]) defer(t, () => box.leave());
  const [above, beside] = [await startReceiver(t, ancestor.pid), await startReceiver(t, stranger.pid)];
  await eventually('both are filtered', async () => {
    const receivers: { pid: number; class: string }[] = await stage.agent.ask('receivers');
    return [above, beside].every(({ pid }) =>
      receivers.some((each) => each.pid === pid && each.class === 'filtered'),
    );
  });
  const { depth, result, userns } = await startAttacker(t, SCRIPT, 35_001, stage.image, ancestor.pid).says();
  assert.deepEqual([depth, result], [DEEPEST, 0]);

  const lines = await stage.ioctls(device);
  assert.deepEqual(lines.map(told), [`LOOP_CTL_ADD ok by ${userns}`, `LOOP_CONFIGURE ok by ${userns}`]);
  assert.equal(lines[1].caller.userns.level, DEEPEST);
  assert.equal(lines[1].owner.after, lines[1].caller.userns.id);
  assert.deepEqual(await stage.hostHears(), []);
  for (const receiver of [above, beside]) await receiver.catchUp();
  assert.ok(above.loopEvents() >= 3, `the ancestor heard ${above.loopEvents()}`);
  assert.equal(beside.loopEvents(), 1, 'the stranger hears of the host’s device only');
});
