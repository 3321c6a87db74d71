/** The attacker has a descriptor of a device of the host's, and changes what it shows: where it begins, when it goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { host } from '../support/shell.js';
import { setStage, told } from '../support/stage.js';

const SCRIPT = `
device = open_file(sys.argv[1])
enter_new_userns()
say([ioctl(device, LOOP_SET_STATUS64, loop_info(offset=4096, sizelimit=65536, flags=LO_FLAGS_AUTOCLEAR)),
     ioctl(device, LOOP_SET_CAPACITY), ioctl(device, LOOP_CLR_FD), userns()])
wait_for_test()
`;

test('each change is the attacker’s in the log, with what is now; the device stays the host’s, which hears of it', async (t) => {
  const stage = await setStage(t);
  const device = await host(`losetup -f --show ${stage.image}`);
  const name = device.replace('/dev/', '');
  const before = (await stage.hostHears()).length;
  const attacker = startAttacker(t, SCRIPT, device);
  const [...results] = await attacker.says();
  const userns = results.pop();
  assert.deepEqual(results, [0, 0, 0]);
  await attacker.kill();
  const lines = (await stage.ioctls(device)).filter(({ caller }) => caller.userns.level > 0);
  assert.deepEqual(lines.map(told), [
    `LOOP_SET_STATUS64 ok by ${userns}`,
    `LOOP_SET_CAPACITY ok by ${userns}`,
    `LOOP_CLR_FD ok by ${userns}`,
  ]);
  assert.deepEqual(
    [lines[0].config.offset, lines[0].config.sizelimit, lines[0].config.flags, lines[0].opener.userns],
    [4096, 65536, ['AUTOCLEAR'], 3],
  );
  assert.ok(lines.slice(0, 2).every(({ owner }) => owner.before === 3 && owner.after === 3));
  assert.ok((await stage.hostHears()).slice(before).includes(`change ${name}`));
});
