/** The attacker has its process take the number of one that has ended, whose deeds or device it would have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { setStage } from '../support/stage.js';

/** Only root may choose a number (clone3 with set_tid); without it one forks until the numbers come round. */
const SCRIPT = `
def live(child, act):
    if child == 0:
        enter_new_userns()
        say([os.getpid(), userns(), act()])
        os._exit(0)
    os.waitpid(child, 0)
    return child
pid = live(os.fork(), lambda: configure(add_device(35001), open_file(sys.argv[1])))
live(clone3(pid=pid), lambda: ioctl(open_file("/dev/loop35001"), LOOP_CLR_FD))
`;

test('two processes of one number are told apart by their start, and so is what each did', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const attacker = startAttacker(t, SCRIPT, stage.image);
  const [first, second] = [await attacker.says(), await attacker.says()];
  await attacker.ended;
  assert.equal(second[0], first[0], 'the number was used again');
  assert.deepEqual([first[2], second[2]], [0, 0]);

  const [, configure, clear] = await stage.ioctls(device);
  assert.deepEqual(
    [configure, clear].map(({ command, caller }) => [command, caller.pid, caller.userns.inum]),
    [
      ['LOOP_CONFIGURE', first[0], first[1]],
      ['LOOP_CLR_FD', second[0], second[1]],
    ],
  );
  assert.ok(clear.caller.start_boot_ns > configure.caller.start_boot_ns);
  assert.equal(clear.owner.before, configure.caller.userns.id);
  assert.deepEqual(await stage.hostHears(), []);
});
