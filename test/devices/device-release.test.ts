import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detachDevice, type ReleaseCalls, removeDevice } from '../../src/devices/device-release.js';

/** A kernel that answers as told; what it was asked, in order. */
function kernel(answers: Partial<ReleaseCalls>): { calls: ReleaseCalls; asked: string[] } {
  const asked: string[] = [];
  const calls: ReleaseCalls = {
    claimLoop: (...words) => {
      asked.push(`claim ${words.join(' ')}`);
      return answers.claimLoop?.(...words) ?? Promise.resolve(5);
    },
    releaseLoop: (...words) => {
      asked.push(`release ${words.join(' ')}`);
      return answers.releaseLoop?.(...words) ?? Promise.resolve({ errno: 0, armed: false });
    },
    removeLoop: (number) => {
      asked.push(`remove ${number}`);
      return answers.removeLoop?.(number) ?? Promise.resolve(0);
    },
  };
  return { calls, asked };
}

const target = (still = true) => ({ path: '/dev/loop3', minor: 3, autoclear: false, isStillSo: () => still });
const failure = (code: string): Error => Object.assign(new Error(code), { code });
const EBUSY = 16;

test('a device is held, asked about, and then detached', async () => {
  const { calls, asked } = kernel({});
  assert.equal(await detachDevice(calls, target()), 'ok');
  assert.deepEqual(asked, ['claim /dev/loop3 3', 'release 5 true false']);
});

test('one that has become another life meanwhile is only closed again', async () => {
  const { calls, asked } = kernel({});
  assert.equal(await detachDevice(calls, target(false)), 'changed');
  assert.deepEqual(asked, ['claim /dev/loop3 3', 'release 5 false false']);
});

test('what the kernel says is told by name, and busy by one name', async () => {
  const claimed = (code: string) => kernel({ claimLoop: () => Promise.reject(failure(code)) }).calls;
  assert.equal(await detachDevice(claimed('EBUSY'), target()), 'busy');
  assert.equal(await detachDevice(claimed('ESTALE'), target()), 'ESTALE');
  const released = (errno: number) =>
    kernel({ releaseLoop: () => Promise.resolve({ errno, armed: false }) }).calls;
  assert.equal(await detachDevice(released(EBUSY), target()), 'busy');
  const armed = kernel({ releaseLoop: () => Promise.resolve({ errno: EBUSY, armed: true }) }).calls;
  assert.equal(await detachDevice(armed, target()), 'armed');
  assert.equal(await detachDevice(released(6), target()), 'ENXIO');
  assert.equal(await removeDevice(kernel({ removeLoop: async () => EBUSY }).calls, 'loop3'), 'busy');
  assert.equal(await removeDevice(kernel({}).calls, 'loop3'), 'ok');
});

test('a call that does not return is given up after a while, and closed when it returns after all', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let answer = (_: number): void => {};
  const claim = new Promise<number>((resolve) => {
    answer = resolve;
  });
  const { calls, asked } = kernel({ claimLoop: () => claim });
  const outcome = detachDevice(calls, target());
  t.mock.timers.tick(10_000);
  assert.equal(await outcome, 'stuck');
  assert.deepEqual(asked, ['claim /dev/loop3 3']);
  answer(5);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(asked.at(-1), 'release 5 false false');
});
