import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { livingUserNamespaces, populatedUserNamespaces } from '../../src/devices/namespaces.js';
import type { UsernsEntry } from '../../src/kernel/abi.js';
import { loadNative } from '../../src/kernel/native.js';
import { INITIAL } from '../event-fixture.js';
import { eventually } from '../support/wait.js';

const native = loadNative();
const inumOf = (pid: number | 'self'): number =>
  Number(/\d+/.exec(readlinkSync(`/proc/${pid}/ns/user`))?.[0]);

test('a user namespace is populated from its first process to its last', async (t) => {
  const own = inumOf('self');
  const child = spawn('unshare', ['-Ur', 'sleep', '60'], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  t.after(() => child.kill('SIGKILL'));
  const pid = child.pid ?? 0;
  const inum = await eventually('the child is in a namespace of its own', () => {
    const now = inumOf(pid);
    return now !== own && now;
  });
  assert.ok(populatedUserNamespaces(native).has(inum));
  assert.ok(populatedUserNamespaces(native).has(own));

  child.kill('SIGKILL');
  await exited;
  // Another test may have got the number meanwhile, so it is looked for among what is there now.
  const holders = (): boolean => populatedUserNamespaces(native).has(inum);
  await eventually('the namespace is gone', () => !holders());
  assert.ok(populatedUserNamespaces(native).has(own));
});

test('only numbers are among the populated ones', () => {
  for (const inum of populatedUserNamespaces(native))
    assert.ok(Number.isSafeInteger(inum) && inum > 0, String(inum));
});

/** `parents`: id → [parent, inum, first seen]. */
function known(parents: Record<number, [parent: bigint, inum: number, firstSeenBootNs?: bigint]>) {
  return new Map<bigint, UsernsEntry>(
    Object.entries(parents).map(([id, [parent, inum, firstSeenBootNs = BigInt(id)]]) => [
      BigInt(id),
      { parent, firstSeenBootNs, inum, level: 1, ownerUid: 1000, address: 0n, usedBootNs: 0n },
    ]),
  );
}

test('a populated namespace lives, and so do its ancestors; its relatives do not', () => {
  const family = known({
    100: [INITIAL, 1],
    200: [100n, 2],
    300: [200n, 3],
    201: [100n, 4],
    101: [INITIAL, 5],
  });
  assert.deepEqual(livingUserNamespaces(family, new Set([3])), new Set([300n, 200n, 100n, INITIAL]));
  assert.deepEqual(livingUserNamespaces(family, new Set([1])), new Set([100n, INITIAL]));
  assert.deepEqual(livingUserNamespaces(family, new Set([9])), new Set());
  assert.deepEqual(livingUserNamespaces(new Map(), new Set([1])), new Set());
});

test('a container lives by its pid namespace, whatever user namespace has had its number', () => {
  const [outer, inner] = [(0x1fffn << 40n) + 5n, (0x1fffn << 40n) + 6n];
  const family = known({ 100: [INITIAL, 1, 1n] });
  const entry = { inum: 1, level: 1, ownerUid: 0, address: 0n, usedBootNs: 0n };
  family.set(outer, { ...entry, parent: INITIAL, firstSeenBootNs: 2n });
  family.set(inner, { ...entry, inum: 2, parent: outer, firstSeenBootNs: 3n });
  assert.deepEqual(
    livingUserNamespaces(family, new Set([1, 2]), new Set([2])),
    new Set([inner, outer, INITIAL]),
  );
  assert.deepEqual(livingUserNamespaces(family, new Set([1, 2]), new Set()), new Set());
});

test('an ancestor that is not known any more ends the line', () => {
  assert.deepEqual(livingUserNamespaces(known({ 200: [100n, 2] }), new Set([2])), new Set([200n, 100n]));
});

test('a namespace whose number a newer one has got is dead', () => {
  // The kernel gives the lowest free number: after `unshare` twice in a row both had the same.
  const reused = known({ 100: [INITIAL, 7], 500: [INITIAL, 7], 300: [INITIAL, 8] });
  assert.deepEqual(livingUserNamespaces(reused, new Set([7])), new Set([500n, INITIAL]));
  assert.deepEqual(livingUserNamespaces(reused, new Set([8])), new Set([300n, INITIAL]));
});

test('a dead namespace with a reused number still lives as the ancestor of a living one', () => {
  const nested = known({ 100: [INITIAL, 7], 200: [100n, 9] });
  assert.deepEqual(livingUserNamespaces(nested, new Set([9])), new Set([200n, 100n, INITIAL]));
});
