/** The attacker has the event of its device come from the host: by a sysfs file, by coldplug, by a host's process that writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { container, host, openContainer } from '../support/shell.js';
import { setStage } from '../support/stage.js';
import { udevDatabase } from '../support/udevd.js';

test('a uevent of a container’s device is hidden, whoever has the kernel send it', async (t) => {
  const stage = await setStage(t, { udevd: true });
  const box = await openContainer();
  defer(t, () => box.leave());
  const name = (await box.run(`losetup -f --show ${stage.image}`)).replace('/dev/', '');
  const database = udevDatabase();
  const synthetic = `echo change 12345678-9abc-def0-1234-56789abcdef0 A=1 >/sys/block/${name}/uevent`;
  await box.run(synthetic);
  await host(`${synthetic}; echo add >/sys/block/${name}/uevent`);
  await host(`udevadm trigger --sysname-match=${name}; udevadm trigger --subsystem-match=block --action=add`);
  // udevd's watch is on no device that it has not heard of; a host's writer is heard of by nobody.
  await host(`dd if=/dev/zero of=/dev/${name} count=1 status=none; udevadm settle`);
  assert.deepEqual(
    (await stage.hostHears()).filter((event) => event.endsWith(` ${name}`)),
    [],
  );
  assert.deepEqual(Object.keys(udevDatabase()).sort(), Object.keys(database).sort());
  const sent = stage.agent.audit().filter(({ kind, device }) => kind === 'uevent' && device.name === name);
  assert.ok(sent.length >= 6 && sent.every(({ verdict }) => verdict === 'hide'), `${sent.length} were sent`);
  await box.run(`losetup -d /dev/${name}`);
});

test('a uevent of the host’s device is delivered, though a container has the kernel send it', async (t) => {
  const stage = await setStage(t);
  const device = await host(`losetup -f --show ${stage.image}`);
  const name = device.replace('/dev/', '');
  const before = (await stage.hostHears()).length;
  // Its root is the host's root to sysfs: a container with ids of its own may not even write.
  await container(`echo change >/sys/block/${name}/uevent`);
  assert.deepEqual((await stage.hostHears()).slice(before), [`change ${name}`]);
  assert.equal((await stage.agent.ask(`devices/${name}`)).owner.class, 'initial');
});
