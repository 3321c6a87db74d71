import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createQuota } from '../../src/loopfs/quota.js';

const LIMITS = { total: 10, perUserns: 3, numbersPerInstance: 4 };
const claim = (instance: string, ...userns: string[]) => ({ instance, max: 2, userns });

test('an instance gets its own limit of devices, and room again for one that has gone', () => {
  const quota = createQuota(LIMITS);
  assert.deepEqual(
    [1, 2, 3].map(() => quota.charge(claim('a'))),
    [true, true, false],
  );
  quota.release(claim('a'));
  assert.equal(quota.charge(claim('a')), true);
  assert.equal(quota.charge(claim('b')), true);
});

test('a child’s devices count for its ancestors, and not the other way round', () => {
  const quota = createQuota(LIMITS);
  for (const instance of ['a', 'b', 'c']) assert.ok(quota.charge(claim(instance, 'child', 'parent')));
  assert.equal(quota.charge(claim('d', 'parent')), false);
  assert.equal(quota.charge(claim('d', 'other child', 'parent')), false);
  assert.equal(quota.charge(claim('d', 'stranger')), true);
  quota.release(claim('a', 'child', 'parent'));
  assert.equal(quota.charge(claim('d', 'parent')), true);
  assert.equal(quota.charge(claim('e', 'child', 'parent')), false);
});

test('a refusal charges nothing, and all instances together have a limit', () => {
  const quota = createQuota({ ...LIMITS, total: 2 });
  assert.ok(quota.charge(claim('a')));
  assert.ok(quota.charge(claim('b')));
  assert.equal(quota.charge(claim('c')), false);
  assert.equal(quota.total(), 2);
});

test('an instance uses up only so many numbers in its life', () => {
  const quota = createQuota(LIMITS);
  for (let round = 0; round < 4; round++) {
    assert.equal(quota.charge(claim('a')), true);
    quota.release(claim('a'));
  }
  assert.equal(quota.charge(claim('a')), false);
  quota.forget('a');
  assert.equal(quota.charge(claim('a')), true);
});

test('refusals are counted by the limit, the first that was come to', () => {
  const quota = createQuota({ ...LIMITS, total: 4 });
  for (const instance of ['a', 'a', 'a', 'b', 'c', 'd']) quota.charge(claim(instance, 'u'));
  quota.charge(claim('e'));
  quota.charge(claim('f'));
  assert.deepEqual(quota.refusals(), { total: 1, instance: 1, instance_numbers: 0, userns: 2 });
  for (let round = 0; round < 3; round++) {
    quota.release(claim('a', 'u'));
    quota.charge(claim('a', 'u'));
  }
  assert.deepEqual(quota.refusals(), { total: 1, instance: 1, instance_numbers: 1, userns: 2 });
});
