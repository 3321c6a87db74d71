/** The attacker has another process make the ioctl (ptrace). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { host } from '../support/shell.js';
import { setStage, told } from '../support/stage.js';
import { buildTool } from '../support/tool.js';

const NUMBER = 35_001;
const LOOP_SET_FD = 0x4c00;

const TRACEE = `
enter_new_userns()
say([add_device(${NUMBER}), open_file(sys.argv[1]), userns()])
wait_for_test()
`;

test('an ioctl that a tracer of the host makes its tracee do is the tracee’s: the kernel asks its credentials', async (t) => {
  const program = await buildTool(t, 'inject-ioctl');
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const tracee = startAttacker(t, TRACEE, stage.image);
  const [descriptor, file, userns] = await tracee.says();
  assert.equal(await host(`${program} ${tracee.pid} ${descriptor} ${LOOP_SET_FD} ${file}`), '0');
  const [, set] = await stage.ioctls(device);
  assert.equal(told(set), `LOOP_SET_FD ok by ${userns}`);
  assert.deepEqual([set.caller.pid, set.owner.after], [tracee.pid, set.caller.userns.id]);
  assert.deepEqual(await stage.hostHears(), []);
});
