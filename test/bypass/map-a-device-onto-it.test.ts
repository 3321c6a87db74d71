/** The attacker would have another driver's device on its own (device-mapper), which no loop ioctl makes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { hasDeviceMapper } from '../support/device-mapper.js';
import { command, host, openContainer } from '../support/shell.js';
import { setStage } from '../support/stage.js';

/** Each kernel of test/vm has it: there nothing is skipped. */
const skip = (await hasDeviceMapper())
  ? false
  : 'this kernel has no device-mapper; every kernel of test/vm has, where this runs';
const NAME = 'loopwarden-test';

test('a user namespace can make none; one that the host makes is the host’s, the disk below stays hidden', {
  skip,
}, async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const box = await openContainer();
  defer(t, () => box.leave());
  await box.run(`losetup ${device} ${stage.image}`);
  const create = `dmsetup create ${NAME} --noudevsync --table "0 2048 linear ${device} 0"`;
  assert.notEqual((await command('unshare', ['-Ur', 'sh', '-c', create])).code, 0);
  await host(create);
  defer(t, () => host(`dmsetup remove --noudevsync ${NAME}`));
  assert.deepEqual(await stage.hostHears(), []);
  assert.equal((await stage.agent.ask('devices/loop35001')).hidden, true);
});
