/** The attacker opens the device as one, and becomes another before the ioctl: the log should have the wrong one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { openContainer } from '../support/shell.js';
import { setStage, told, usernsOf } from '../support/stage.js';

const OPEN = `
number, image, other = int(sys.argv[1]), sys.argv[2], sys.argv[3]
device, file = add_device(number), open_file(image)
`;
const ATTACH = `
say({"result": configure(device, file), "userns": userns()})
wait_for_test()
`;

test('after setns into a container the device is the container’s', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const box = await openContainer();
  defer(t, () => box.leave());
  const script = `${OPEN}enter_userns_of(other)${ATTACH}`;
  const { result } = await startAttacker(t, script, 35_001, stage.image, box.pid).says();
  assert.equal(result, 0);
  const line = (await stage.ioctls(device)).find(({ command }) => command === 'LOOP_CONFIGURE');
  assert.equal(told(line), `LOOP_CONFIGURE ok by ${await usernsOf(box.pid)}`);
  assert.deepEqual(line.opener, { uid: 0, userns: 3 });
  assert.equal(line.owner.after, line.caller.userns.id);
  assert.ok(!(await stage.hostHears()).includes('change loop35001'));
});

test('after setuid the log has the uid that called and the uid that opened', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const script = `${OPEN}os.setresgid(54321, 54321, 54321); os.setresuid(int(other), int(other), int(other))${ATTACH}`;
  const { result } = await startAttacker(t, script, 35_001, stage.image, 12_345).says();
  assert.equal(result, 0);
  const line = (await stage.ioctls(device)).find(({ command }) => command === 'LOOP_CONFIGURE');
  assert.deepEqual(
    [line.caller.uid, line.caller.gid, line.opener.uid, line.caller.userns.level],
    [12_345, 54_321, 0, 0],
  );
  // Nobody’s user namespace: the host’s users are the host.
  assert.ok((await stage.hostHears()).includes('change loop35001'));
});
