import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDevno } from '../../src/devices/devno.js';
import { listLoops, readLoop, triggerUevent } from '../../src/devices/sysfs.js';
import { tempImage } from '../support/image.js';
import { addPartition } from '../support/partition.js';
import { host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

test('a device is bound from its attaching to its detaching, and says to what', async (t) => {
  const image = tempImage(t, 4 << 20);
  const name = (await host(`losetup -f --show -r -o 4096 --sizelimit 1048576 ${image}`)).replace('/dev/', '');
  const loop = readLoop(name);
  assert.ok(loop);
  assert.deepEqual(loop.backing, {
    path: image,
    offset: 4096,
    sizelimit: 1_048_576,
    autoclear: false,
    partscan: false,
    dio: false,
  });
  assert.deepEqual([loop.name, loop.sizeBytes, loop.readOnly], [name, 1_048_576, true]);
  assert.equal(loop.devno, parseDevno(await host(`cat /sys/block/${name}/dev`)));
  assert.equal(String(loop.diskseq), await host(`cat /sys/block/${name}/diskseq`));
  assert.deepEqual(
    listLoops().find((each) => each.name === name),
    loop,
  );

  await host(`losetup -d /dev/${name}`);
  // Another test may take the device at once, with an image of its own.
  await eventually('the image is let go', () => readLoop(name)?.backing?.path !== image);
  const after = readLoop(name);
  assert.ok(after === undefined || after.diskseq > loop.diskseq);
});

test('the partitions of a disk are its own', async (t) => {
  const image = tempImage(t, 8 << 20);
  const name = (await host(`losetup -f --show -P ${image}`)).replace('/dev/', '');
  // By number, as the kernel may have been built without any partition table's format.
  const [first, second] = [1, 2].map((number) => addPartition(`/dev/${name}`, number, number * 2048, 2048));
  await host(`${first}; ${second}`);
  const loop = readLoop(name);
  assert.deepEqual([...(loop?.partitions ?? [])].sort(), [`${name}p1`, `${name}p2`]);
  assert.equal(loop?.backing?.partscan, true);
});

test('devices are listed in the order of their numbers', () => {
  const numbers = listLoops().map(({ name }) => Number(name.slice('loop'.length)));
  assert.ok(numbers.length > 0);
  assert.deepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
  );
});

test('what is no loop device is not looked for', () => {
  const names = [
    '',
    'loop',
    'sda',
    'loop3p1',
    '../loop0',
    'loop0/../loop0',
    'loop0\0',
    'loop12345678',
    'LOOP0',
  ];
  for (const name of names) assert.equal(readLoop(name), undefined, JSON.stringify(name));
  assert.equal(readLoop('loop9999999'), undefined);
});

test('a uevent of a device that is not there cannot be asked for', () => {
  assert.throws(() => triggerUevent('loop9999999', 'change'), { code: 'ENOENT' });
});
