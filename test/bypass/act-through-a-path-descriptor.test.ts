/** The attacker uses descriptors that open nothing (O_PATH), and opens by them what another one may open. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { setStage, told } from '../support/stage.js';

const NUMBER = 35_001;

/** Opened by the host; what is opened again through it, is opened by the container. */
const SCRIPT = `
os.close(add_device(${NUMBER}))
bare = os.open("/dev/loop${NUMBER}", os.O_PATH)
bare_file = os.open(sys.argv[1], os.O_PATH)
enter_new_userns()
refused = ioctl(bare, LOOP_CLR_FD)
device = os.open(f"/proc/self/fd/{bare}", os.O_RDWR)
results = [refused, configure(device, bare_file), configure(device, open_file(f"/proc/self/fd/{bare_file}"))]
say([results, userns()])
wait_for_test()
`;

test('the kernel refuses them, and what is opened by them is logged as opened by who did', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const [results, userns] = await startAttacker(t, SCRIPT, stage.image).says();
  assert.deepEqual(results, ['EBADF', 'EBADF', 0]);
  // The first never reached the device: there is nothing to tell.
  const [, refused, configure] = await stage.ioctls(device);
  assert.deepEqual([refused, configure].map(told), [
    `LOOP_CONFIGURE EBADF by ${userns}`,
    `LOOP_CONFIGURE ok by ${userns}`,
  ]);
  assert.equal(configure.opener.userns, configure.caller.userns.id);
  assert.equal(configure.backing.path, stage.image);
  assert.ok(!(await stage.hostHears()).includes(`change loop${NUMBER}`));
});
