/** The attacker would have another driver's device on its own (device-mapper), which no loop ioctl makes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { ANNOUNCED_EMPTY, mapDevice, skipWithoutMapper } from '../support/device-mapper.js';
import { command, openContainer } from '../support/shell.js';
import { setStage } from '../support/stage.js';

const skip = await skipWithoutMapper();

test('a user namespace can make none; one that the host makes on its device is hidden like the device', {
  skip,
}, async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const box = await openContainer();
  defer(t, () => box.leave());
  await box.run(`losetup ${device} ${stage.image}`);
  const table = `0 2048 linear ${device} 0`;
  const create = `dmsetup create loopwarden-test-refused --noudevsync --table "${table}"`;
  assert.notEqual((await command('unshare', ['-Ur', 'sh', '-c', create])).code, 0);
  const mapping = await mapDevice(t, 'onto', [table]);
  assert.equal((await stage.agent.ask(`devices/${mapping.name}`)).owner.as, 'stacked');
  await mapping.remove();
  const heard = await stage.hostHears(mapping.events);
  const expected = ANNOUNCED_EMPTY ? ['add', 'remove'] : [];
  assert.deepEqual([...new Set(heard.map((event) => event.split(' ')[0]))], expected);
  assert.deepEqual(await stage.hostHears(), []);
  assert.equal((await stage.agent.ask('devices/loop35001')).hidden, true);
});
