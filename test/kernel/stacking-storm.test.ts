/** A storm of containers' loop devices with partitions and device-mapper on top, while the host makes and uses its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { ANNOUNCED_EMPTY, skipWithoutMapper } from '../support/device-mapper.js';
import { tempImage } from '../support/image.js';
import { startMonitor, type Uevent } from '../support/monitor.js';
import { addPartition, deletePartition } from '../support/partition.js';
import { removeDevice } from '../support/remove-device.js';
import { STACK_CYCLES } from '../support/scale.js';
import { command, host, openContainer } from '../support/shell.js';
import { startUdevd, udevDatabase } from '../support/udevd.js';
import { skipWithoutZram } from '../support/zram.js';

const skip = (await skipWithoutMapper()) || (await skipWithoutZram());
const [THEIRS, OURS] = [35_001, 35_002];

/** Device-mapper on `path` and, `again`, on that; made and removed with udev's help. */
const mapped = (label: string, path: string): string => `
  timeout 200 dmsetup create ${label} --table '0 2048 linear ${path} 0'
  under=/dev/$(dmsetup info -c --noheadings -o blkdevname ${label})
  timeout 200 dmsetup create ${label}-2 --table "0 2048 linear $under 0"
  timeout 200 dmsetup remove ${label}-2
  timeout 200 dmsetup remove ${label}`;

test('nothing of it reaches the host’s udev, and nothing of the host’s is missing', { skip }, async (t) => {
  await startUdevd(t);
  const agent = await startAgent(t, agentEnvironment(t, { LOOPWARDEN_AUDIT_KINDS: 'agent' }));
  const image = tempImage(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  defer(t, async () => {
    for (const label of ['theirs-2', 'theirs', 'ours-2', 'ours'])
      await command('dmsetup', ['remove', '--noudevsync', '--force', label]);
    for (const number of [THEIRS, OURS]) {
      await command('losetup', ['-d', `/dev/loop${number}`]);
      await removeDevice(number);
    }
  });
  await host(`losetup /dev/loop${OURS} ${tempImage(t)}; udevadm settle`);
  const before = udevDatabase();
  const monitor = await startMonitor(t);

  // Two sides at once: each of them takes and leaves the numbers that the other one's devices have.
  const device = `/dev/loop${THEIRS}`;
  const theirs = async (): Promise<void> => {
    for (let cycle = 0; cycle < STACK_CYCLES; cycle++) {
      await box.run(`losetup ${device} ${image}`);
      await host(
        `${addPartition(device, 1, 2048, 4096)}; ${mapped('theirs', `${device}p1`)}; ${deletePartition(device, 1)}`,
      );
      await box.run(`losetup -d ${device}`);
    }
    await removeDevice(THEIRS);
  };
  const ours = async (): Promise<number> => {
    let cycles = 0;
    while (going) {
      await host(`${mapped('ours', `/dev/loop${OURS}`)}
        number=$(cat /sys/class/zram-control/hot_add); udevadm settle; echo $number >/sys/class/zram-control/hot_remove`);
      cycles++;
    }
    return cycles;
  };
  let going = true;
  const [, cycles] = await Promise.all([
    theirs().finally(() => {
      going = false;
    }),
    ours(),
  ]);
  await monitor.catchUp();
  await host('udevadm settle');
  assert.deepEqual(udevDatabase(), before);

  const heard = monitor.events();
  const of = (pattern: RegExp): Uevent[] => heard.filter(({ DEVPATH = '' }) => pattern.test(DEVPATH));
  assert.deepEqual(of(new RegExp(`loop${THEIRS}`)), []);
  const count = (events: Uevent[], action: string): number =>
    events.filter(({ ACTION }) => ACTION === action).length;
  const mapper = of(/\/block\/dm-\d+$/);
  // Where a disk is announced before it has a table, a container's is too, and so it is heard of at its end.
  const announced = 2 * cycles + (ANNOUNCED_EMPTY ? 2 * STACK_CYCLES : 0);
  assert.deepEqual(
    { change: count(mapper, 'change'), add: count(mapper, 'add'), remove: count(mapper, 'remove') },
    // Device-mapper and the block layer each send one at the end.
    { change: 2 * cycles, add: announced, remove: 2 * announced },
  );
  const zram = of(/\/block\/zram\d+$/);
  assert.deepEqual([count(zram, 'add'), count(zram, 'remove')], [cycles, cycles]);
  assert.ok(cycles > 0);
  assert.equal((await agent.metrics()).get('loopwarden_records_unaccounted'), 0);
});
