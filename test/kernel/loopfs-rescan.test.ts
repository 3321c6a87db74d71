/** A container's root has partition tables read anew, on its own devices only; without a privilege of the host's. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { ioctls } from '../support/ioctl.js';
import { startLoopfsHost } from '../support/loopfs-serve.js';
import { addPartition } from '../support/partition.js';
import { type PlacedContainer, startPlacedContainer } from '../support/placed-container.js';
import { command, host } from '../support/shell.js';

const FIRST = 20_000;
const LOOPFS_RESCAN = 0x4cc0;
const HELPER = join(PACKAGE_ROOT, `prebuilds/linux-${process.arch}/loopwarden-rescan`);
const MAIN = join(PACKAGE_ROOT, 'dist/main.js');
const loop = (number: number): string => `/dev/loop${FIRST + number}`;

/** A partition that is in no table: reading the table takes it away, on every kernel. */
async function addStray(number: number): Promise<void> {
  await host(addPartition(loop(number), 1, 8, 1024));
}

async function namesOf(container: PlacedContainer): Promise<string> {
  return container.run('ls /dev/loopfs; ls /dev | grep loop.*p || true');
}

test('a rescan has nodes and names follow at once; the helper needs nothing of the container', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  await one.run(`losetup -P -f ${one.image(4 << 20)}`);
  const whole = `loop-control\nloop${FIRST}`;
  for (const rescan of [
    `${HELPER} ${loop(0)}`,
    `${HELPER} loop${FIRST}`,
    `${process.execPath} ${MAIN} loopfs rescan ${loop(0)}`,
  ]) {
    await addStray(0);
    assert.equal(await one.run('ls /dev/loopfs'), `${whole}\nloop${FIRST}p1`);
    assert.equal(await one.run(`${rescan}; ls /dev/loopfs; ls /dev | grep loop.*p || true`), whole);
  }
  const { stdout } = await command('file', [HELPER]);
  assert.ok(stdout === '' || /statically linked/.test(stdout), stdout);
});

test('a rescan is refused as BLKRRPART is, and on every device that is not the instance’s', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  const two = await startPlacedContainer(t, serving, 'two');
  const image = one.image(4 << 20);
  await one.run(`losetup -P -f ${image}; losetup -f ${image}; losetup -f`);
  await two.run(`losetup -P -f ${two.image(4 << 20)}`);
  await addStray(0);
  const numbers = [FIRST, FIRST + 1, FIRST + 2, FIRST + 3, 0, FIRST + 900, -1];
  const calls = numbers.map((number): [number, number] => [LOOPFS_RESCAN, number]);
  const answers = await one.run(`exec 3</dev/loopfs/loop${FIRST}p1; ${ioctls('/dev/loop-control', calls)}`);
  assert.deepEqual(answers.split('\n'), [
    'EBUSY',
    ...['EINVAL', 'EINVAL'],
    ...['EACCES', 'EACCES', 'ENODEV', 'EINVAL'],
  ]);
  assert.match(await namesOf(one), new RegExp(`^loop${FIRST}p1$`, 'm'));

  for (const [rescan, code, words] of [
    [`exec 3</dev/loopfs/loop${FIRST}p1; ${HELPER} ${loop(0)}`, 1, /in use/],
    [`${HELPER} ${loop(1)}`, 1, /not scanned \(losetup -P\)/],
    [`${HELPER} ${loop(3)}`, 1, /not a device of this container/],
    [`${HELPER} ${loop(900)}`, 1, /no such device/],
    [`${HELPER} ${loop(0)}p1`, 2, /usage: /],
    [HELPER, 2, /usage: /],
    [`${process.execPath} ${MAIN} loopfs rescan ${loop(1)}`, 1, /its partitions are not scanned;/],
    [`${process.execPath} ${MAIN} loopfs rescan ${loop(1)}p1`, 2, /no whole loop device/],
  ] as const) {
    const outcome = await one.try(rescan);
    assert.match(outcome.stderr, words, rescan);
    assert.equal(outcome.code, code, rescan);
  }
  const outside = await command(HELPER, [loop(0)]);
  assert.equal(outside.code, 1);
  assert.match(outside.stderr, /loopfs\/loop-control: No such file or directory/);
});
