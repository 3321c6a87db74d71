import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInUse } from '../../src/devices/namespace-use.js';
import type { UsernsEntry } from '../../src/kernel/abi.js';

const WALK = { startBootNs: 1000n, complete: true };

const entry = (more: Partial<UsernsEntry> = {}): UsernsEntry => ({
  parent: 3n,
  firstSeenBootNs: 100n,
  inum: 4_026_532_101,
  level: 1,
  ownerUid: 1000,
  address: 0xffff_8880_1234_0000n,
  usedBootNs: 500n,
  ...more,
});

test('what no walk since has found in use is dead', () => {
  assert.equal(isInUse(entry(), WALK), false);
  assert.equal(isInUse(entry({ usedBootNs: 0n }), WALK), false);
});

test('what the walk has found is in use', () => {
  assert.equal(isInUse(entry({ usedBootNs: 1000n }), WALK), true);
  assert.equal(isInUse(entry({ usedBootNs: 1001n }), WALK), true);
});

test('what cannot be proven dead is in use', () => {
  assert.equal(isInUse(undefined, WALK), true, 'a namespace that is not known');
  assert.equal(isInUse(entry(), { ...WALK, complete: false }), true, 'a walk that did not see all');
  assert.equal(isInUse(entry({ firstSeenBootNs: 1000n }), WALK), true, 'a namespace that came after it');
  assert.equal(isInUse(entry({ address: 0n }), WALK), true, 'one of which it is not known where it is');
  assert.equal(isInUse(entry({ level: 0 }), WALK), true, 'the initial one');
});
