/** The attacker acts with what its process is not: a thread with another uid, a child in the parent's memory with another namespace. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { ioctls, LOOP_CTL_ADD } from '../support/ioctl.js';
import { host } from '../support/shell.js';
import { setStage, usernsOf } from '../support/stage.js';
import { buildTool } from '../support/tool.js';

/** The system call changes one thread only; libc would change them all. */
const THREADS = `
SYS_SETRESUID, uids = 117, [11111, 22222]
device = add_device(int(sys.argv[1]))
def act(uid):
    system_call(SYS_SETRESUID, uid, uid, uid)
    say([uid, threading.get_native_id(), ioctl(device, LOOP_SET_CAPACITY)])
for uid in uids:
    thread = threading.Thread(target=act, args=(uid,))
    thread.start()
    thread.join()
wait_for_test()
`;

test('each thread is logged with its own uid and tid', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const attacker = startAttacker(t, THREADS, 35_001);
  const acted = [await attacker.says(), await attacker.says()];
  const lines = (await stage.ioctls(device)).filter(({ command }) => command === 'LOOP_SET_CAPACITY');
  assert.deepEqual(
    lines.map(({ caller, result }) => [caller.uid, caller.tid, result]),
    acted,
  );
  assert.ok(lines.every(({ caller }) => caller.pid === attacker.pid && caller.tid !== attacker.pid));
});

test('a child that shares its parent’s memory and descriptors is logged, and owns, as what it is itself', async (t) => {
  const program = await buildTool(t, 'vfork-namespace');
  const stage = await setStage(t);
  const device = stage.device(35_001);
  await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, 35_001]]));
  const [child, result] = JSON.parse(await host(`${program} ${device} ${stage.image}`));
  assert.equal(result, 0);
  const line = (await stage.ioctls(device)).find(({ command }) => command === 'LOOP_SET_FD');
  assert.deepEqual([line.caller.pid, line.result, line.caller.userns.level], [child, 'ok', 1]);
  assert.notEqual(line.caller.userns.inum, await usernsOf('self'));
  assert.deepEqual([line.opener.userns, line.owner.after], [3, line.caller.userns.id]);
  assert.ok(!(await stage.hostHears()).includes('change loop35001'));
});
