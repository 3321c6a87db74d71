/** The attacker has a kernel worker open the device for it, and keeps it where no table of descriptors has it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { attack, said } from '../support/attacker.js';
import { container, host } from '../support/shell.js';
import { setStage, told } from '../support/stage.js';
import { tempFolder } from '../support/temp-folder.js';

const NUMBER = 35_001;
const LINES = ['LOOP_SET_CAPACITY ENXIO', 'LOOP_CONFIGURE ok'];

test('a device that io_uring’s worker makes by opening a node is its submitter’s', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const node = join(tempFolder(t), 'node');
  const make = `
with open("/sys/module/loop/parameters/max_part") as file: shift = int(file.read()).bit_length()
os.mknod(sys.argv[1], 0o60600, os.makedev(7, ${NUMBER} << shift))`;
  await host(attack(make, node));
  const script = `
from io_uring import *
descriptor = Ring().open(sys.argv[1])
say([descriptor >= 0, ioctl(descriptor, LOOP_SET_CAPACITY), configure(descriptor, open_file(sys.argv[2])), userns()])`;
  const [[opened, capacity, result, userns]] = said(await container(attack(script, node, stage.image)));
  assert.deepEqual([opened, capacity, result], [true, 'ENXIO', 0]);
  const lines = await stage.ioctls(device);
  assert.deepEqual(
    lines.map(told),
    LINES.map((line) => `${line} by ${userns}`),
  );
  // Its owner already before anything was attached: who opened the node made the device.
  assert.equal(lines[0].owner.before, lines[0].caller.userns.id);
  assert.equal(lines[0].opener.userns, lines[0].caller.userns.id);
  assert.deepEqual(await stage.hostHears(), []);
});

test('a device that is kept as a registered file does nothing until it is a descriptor, and then as its caller', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const script = `
from io_uring import *
ring, device = Ring(), add_device(${NUMBER})
ring.register(device)
os.close(device)
descriptor = ring.install(0)
if descriptor < 0: say([errno.errorcode[-descriptor]])
else: say([ioctl(descriptor, LOOP_SET_CAPACITY), configure(descriptor, open_file(sys.argv[1])), userns()])`;
  const [[capacity, result, userns]] = said(await container(attack(script, stage.image)));
  const lines = (await stage.ioctls(device)).slice(1);
  // Linux before 6.8 lets no registered file out; no loop ioctl can then be made on it.
  const expected = capacity === 'EINVAL' ? [] : LINES.map((line) => `${line} by ${userns}`);
  assert.deepEqual(lines.map(told), expected);
  if (capacity !== 'EINVAL') assert.deepEqual([capacity, result], ['ENXIO', 0]);
  assert.deepEqual(await stage.hostHears(), []);
});
