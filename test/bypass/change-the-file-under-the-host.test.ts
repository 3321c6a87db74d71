/** The attacker has a descriptor of a device of the host's, and puts another file under it (LOOP_CHANGE_FD). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attack, said } from '../support/attacker.js';
import { tempImage } from '../support/image.js';
import { container, host } from '../support/shell.js';
import { setStage, told } from '../support/stage.js';

test('the log has the new file and who put it there; the device stays the host’s', async (t) => {
  const stage = await setStage(t);
  const other = tempImage(t);
  const device = await host(`losetup -f --show -r ${stage.image}`);
  const before = await stage.hostHears();
  const script = `
device = os.open(sys.argv[1], os.O_RDONLY)
say([ioctl(device, LOOP_CHANGE_FD, os.open(sys.argv[2], os.O_RDONLY)), userns()])`;
  const [[result, userns]] = said(await container(attack(script, device, other)));
  assert.equal(result, 0);
  const [change] = (await stage.ioctls(device)).filter(({ command }) => command === 'LOOP_CHANGE_FD');
  assert.equal(told(change), `LOOP_CHANGE_FD ok by ${userns}`);
  assert.deepEqual([change.backing.path, change.owner], [other, { before: 3, after: 3 }]);
  await host(`losetup -d ${device}`);
  const name = device.replace('/dev/', '');
  assert.ok(
    (await stage.hostHears()).slice(before.length).includes(`change ${name}`),
    'the host hears of its device',
  );
});

test('a container’s file, changed under it by the host, stays the container’s device', async (t) => {
  const stage = await setStage(t);
  const other = tempImage(t);
  const device = stage.device(35_001);
  const attach =
    'say(configure(add_device(35001), os.open(sys.argv[1], os.O_RDONLY), flags=LO_FLAGS_READ_ONLY))';
  assert.deepEqual(said(await container(attack(attach, stage.image))), [0]);
  const swap = 'say(ioctl(open_file(sys.argv[1]), LOOP_CHANGE_FD, open_file(sys.argv[2])))';
  assert.deepEqual(said(await host(attack(swap, device, other))), [0]);
  const [, configure, change] = await stage.ioctls(device);
  const owner = configure.caller.userns.id;
  assert.deepEqual(
    [change.caller.userns.level, change.owner, change.backing.path],
    [0, { before: owner, after: owner }, other],
  );
  assert.deepEqual(await stage.hostHears(), []);
});
