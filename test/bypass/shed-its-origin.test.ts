/** The attacker forks twice and lets its parents die, so that it is init's child and nobody's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { setStage, told } from '../support/stage.js';

const SCRIPT = `
import time
before = os.getpid()
enter_new_userns()
if os.fork() == 0:
    os.setsid()
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent: time.sleep(0.001)
        result = configure(add_device(35001), open_file(sys.argv[1]))
        say([os.getpid(), os.getppid() not in (before, parent), result, userns()])
    os._exit(0)
os.wait()
wait_for_test()
`;

test('an orphaned process is logged as itself, in its user namespace, which owns its device', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const attacker = startAttacker(t, SCRIPT, stage.image);
  const [pid, reparented, result, userns] = await attacker.says();
  assert.deepEqual([reparented, result], [true, 0]);
  const lines = await stage.ioctls(device);
  assert.deepEqual(lines.map(told), [`LOOP_CTL_ADD ok by ${userns}`, `LOOP_CONFIGURE ok by ${userns}`]);
  assert.ok(lines.every(({ caller, owner }) => caller.pid === pid && owner.after === caller.userns.id));
  assert.deepEqual(await stage.hostHears(), []);
});
