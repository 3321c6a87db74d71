/** An instance whose devices are made by somebody who can die over it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceBroker } from '../../src/loopfs/broker.js';
import { createErrnoError, ERRNO } from '../../src/loopfs/errno.js';
import { createInstance, type KeptDevice } from '../../src/loopfs/instance.js';
import { openNumbers } from '../../src/loopfs/numbers.js';
import { createQuota } from '../../src/loopfs/quota.js';
import { tempFolder } from '../support/temp-folder.js';

const FIRST = 5000;

function open(folder: string, create: (devices: Set<number>, number: number) => void) {
  const devices = new Set<number>();
  const broker: DeviceBroker = {
    create: async (_owner, number) => create(devices, number),
    async remove(number) {
      if (!devices.delete(number)) throw createErrnoError('remove', ERRNO.ENODEV);
    },
    detach: async () => {},
    rescan: async () => {},
    exists: (number) => devices.has(number),
    isBound: () => false,
  };
  const quota = createQuota({ total: 8, perUserns: 8, numbersPerInstance: 8 });
  let kept: readonly KeptDevice[] = [];
  const instance = createInstance(
    { id: 'one.1', name: 'one', max: 4 },
    {
      broker,
      quota,
      numbers: openNumbers({ folder, first: FIRST, partShift: 0 }),
      keep: (each) => {
        kept = each;
      },
      isAlive: () => true,
      show: async () => {},
    },
  );
  return { instance, devices, quota, kept: () => kept };
}

const caller = { pid: 1, userns: [{ inum: 7, id: null }] };

test('a device that was made by an agent which died before it said so is taken away again', async (t) => {
  const { instance, devices, quota, kept } = open(tempFolder(t), (made, number) => {
    made.add(number);
    throw createErrnoError('make', ERRNO.EAGAIN);
  });
  assert.equal(await instance.getFree(caller), -ERRNO.EAGAIN);
  assert.deepEqual([[...devices], quota.total(), kept(), instance.devices()], [[], 0, [], []]);
});

test('a device that is there before it is made is the host’s, and left alone', async (t) => {
  const { instance, devices } = open(tempFolder(t), (made, number) => void made.add(number));
  devices.add(FIRST);
  assert.equal(await instance.getFree(caller), FIRST + 1);
  assert.equal(await instance.remove(FIRST), -ERRNO.EACCES);
  assert.deepEqual([...devices], [FIRST, FIRST + 1]);
});
