import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { devnoOf, LOOP_MAJOR, parseDevno } from '../../src/devices/devno.js';
import {
  creatorOf,
  devnoKey,
  ownerClass,
  ownerOf,
  readOwners,
  readUserNamespaces,
  reconcileOwners,
} from '../../src/devices/owners.js';
import { readLoop } from '../../src/devices/sysfs.js';
import { type OwnerEntry, STACK_STATE, USERNS_ENTRY_SIZE, writeOwnerEntry } from '../../src/kernel/abi.js';
import { loadNative } from '../../src/kernel/native.js';
import { type LoadedPrograms, loadPrograms } from '../../src/kernel/programs.js';
import { loopPartShift } from '../../src/kernel/settings.js';
import { CONTAINER, INITIAL, NOBODY } from '../event-fixture.js';
import { tempImage } from '../support/image.js';
import { host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

/** The agent's maps, with no program that would write them. */
function loadMaps(t: TestContext): LoadedPrograms {
  const loaded = loadPrograms(loadNative(), {
    programs: [],
    reuse: new Map(),
    sizes: { owners: 64, userns: 64 },
  });
  t.after(() => loaded.close());
  return loaded;
}

test('the owner is the holder while something is attached, else the creator', () => {
  const both = { ...NOBODY, creator: INITIAL, holder: CONTAINER };
  assert.deepEqual(ownerOf(both, true), { id: CONTAINER, class: 'userns', as: 'holder' });
  assert.deepEqual(ownerOf(both, false), { id: INITIAL, class: 'initial', as: 'creator' });
  const reverse = { ...NOBODY, creator: CONTAINER, holder: INITIAL };
  assert.deepEqual(ownerOf(reverse, true), { id: INITIAL, class: 'initial', as: 'holder' });
  assert.deepEqual(ownerOf(reverse, false), { id: CONTAINER, class: 'userns', as: 'creator' });
  const made = { ...NOBODY, creator: CONTAINER };
  assert.deepEqual(ownerOf(made, true), { id: CONTAINER, class: 'userns', as: 'creator' });
});

test('what stands on a device of a user namespace is its, until it leaves it', () => {
  const stands = { ...NOBODY, creator: INITIAL, stacked: CONTAINER };
  for (const stack of [STACK_STATE.CLAIMED, STACK_STATE.LINKED])
    assert.deepEqual(ownerOf({ ...stands, stack }, true), { id: CONTAINER, class: 'userns', as: 'stacked' });
  for (const stack of [STACK_STATE.NONE, STACK_STATE.LEFT])
    assert.deepEqual(ownerOf({ ...stands, stack }, true), { id: INITIAL, class: 'initial', as: 'creator' });
});

test('without an entry, or with one that names nobody, the owner is unknown', () => {
  for (const bound of [true, false]) {
    assert.deepEqual(ownerOf(undefined, bound), { id: 0n, class: 'unknown', as: null });
    assert.deepEqual(ownerOf(NOBODY, bound), { id: 0n, class: 'unknown', as: null });
  }
  assert.deepEqual(ownerOf({ ...NOBODY, holder: CONTAINER }, false), { id: 0n, class: 'unknown', as: null });
});

test('who attached last, or is about to, is not the owner', () => {
  const entry = { ...NOBODY, creator: INITIAL, pending: CONTAINER, lastHolder: CONTAINER };
  assert.equal(ownerOf(entry, true).class, 'initial');
  assert.equal(ownerOf(entry, false).class, 'initial');
});

test('only the initial user namespace is the host', () => {
  assert.deepEqual([0n, 3n, 1n, 4n, 2n ** 64n - 1n].map(ownerClass), [
    'unknown',
    'initial',
    'userns',
    'userns',
    'userns',
  ]);
});

test('a window right below 2^53 is of rootful containers', () => {
  const first = 0x1fffn << 40n;
  assert.deepEqual(
    [first, first + 1n, 2n ** 53n - 1n].map((id) => [ownerClass(id), Number.isSafeInteger(Number(id))]),
    Array(3).fill(['container', true]),
  );
  assert.deepEqual([first - 1n, 2n ** 53n].map(ownerClass), ['userns', 'userns']);
  const header = readFileSync(new URL('../../bpf/event.h', import.meta.url), 'utf8');
  assert.match(
    header,
    /#define CONTAINER_ID_BITS 40\n#define CONTAINER_IDS +\(0x1fffULL << CONTAINER_ID_BITS\)/,
  );
});

test('the numbers of the initial and of no namespace are those of bpf/event.h', () => {
  const header = readFileSync(new URL('../../bpf/event.h', import.meta.url), 'utf8');
  assert.match(header, /#define USERNS_INITIAL 3ULL/);
  assert.match(header, /#define USERNS_NONE\s+0ULL/);
});

test('the owner map is read whole, in the words of BPF', (t) => {
  const map = loadMaps(t).map('owners');
  assert.equal(readOwners(map).size, 0);
  const entries = new Map<number, OwnerEntry>(
    Array.from({ length: 64 }, (_, number) => [
      devnoOf(LOOP_MAJOR, number),
      {
        creator: BigInt(number),
        holder: 2n ** 64n - 1n - BigInt(number),
        holderDiskseq: 1n,
        pending: 2n,
        pendingToken: 3n,
        loopAddress: 0xffff_8880_0000_0000n,
        lastHolder: 5n,
        releasedBootNs: 6n,
        stacked: 7n,
        links: 8,
        stack: 9,
        hostKnows: 10,
      },
    ]),
  );
  for (const [devno, entry] of entries) map.put(devnoKey(devno), writeOwnerEntry(entry));
  assert.deepEqual(
    [...readOwners(map)].sort(([a], [b]) => a - b),
    [...entries],
  );
  assert.equal(creatorOf(map, devnoOf(LOOP_MAJOR, 5)), 5n);
  assert.equal(creatorOf(map, devnoOf(LOOP_MAJOR, 5000)), 0n);
});

test('the known user namespaces are read by id', (t) => {
  const map = loadMaps(t).map('userns');
  assert.equal(readUserNamespaces(map).size, 0);
  const key = Buffer.alloc(8);
  key.writeBigUInt64LE(CONTAINER);
  const value = Buffer.alloc(USERNS_ENTRY_SIZE);
  value.writeBigUInt64LE(INITIAL, 0);
  value.writeBigUInt64LE(99n, 8);
  value.writeUInt32LE(4_026_532_101, 16);
  value.writeUInt32LE(1, 20);
  value.writeUInt32LE(1000, 24);
  value.writeBigUInt64LE(0xffff_8880_1234_0000n, 32);
  value.writeBigUInt64LE(100n, 40);
  map.put(key, value);
  const expected = {
    parent: INITIAL,
    firstSeenBootNs: 99n,
    inum: 4_026_532_101,
    level: 1,
    ownerUid: 1000,
    address: 0xffff_8880_1234_0000n,
    usedBootNs: 100n,
  };
  assert.deepEqual([...readUserNamespaces(map)], [[CONTAINER, expected]]);
});

/** A loop device that no other test touches, with an image attached. */
async function attachedDevice(t: TestContext): Promise<{ devno: number; diskseq: bigint; name: string }> {
  const name = (await host(`losetup -f --show ${tempImage(t)}`)).replace('/dev/', '');
  const loop = readLoop(name);
  assert.ok(loop);
  return loop;
}

test('a map of an earlier agent keeps the lives that last, and loses those that are over', async (t) => {
  const map = loadMaps(t).map('owners');
  const partShift = loopPartShift();
  const { devno, diskseq } = await attachedDevice(t);
  const absent = devnoOf(LOOP_MAJOR, (1 << 20) - 1);
  const put = (at: number, more: Partial<OwnerEntry>): void =>
    map.put(devnoKey(at), writeOwnerEntry({ ...NOBODY, creator: INITIAL, ...more }));
  const entry = (): OwnerEntry | undefined => readOwners(map).get(devno);

  put(devno, { holder: CONTAINER, holderDiskseq: diskseq, pending: 5n });
  put(absent, { holder: CONTAINER });
  // Of a driver that this host has not.
  put(devnoOf(511, 3), { creator: CONTAINER });
  assert.deepEqual(reconcileOwners(map, partShift), { kept: 1, removed: 2, released: 0 });
  assert.deepEqual([entry()?.holder, entry()?.pending, entry()?.creator], [CONTAINER, 0n, INITIAL]);
  assert.equal(readOwners(map).has(absent), false);

  // Another life: detached and attached again while no agent looked.
  put(devno, { holder: CONTAINER, holderDiskseq: diskseq - 2n, pending: 5n });
  assert.deepEqual(reconcileOwners(map, partShift), { kept: 0, removed: 0, released: 1 });
  assert.deepEqual([entry()?.holder, entry()?.pending, entry()?.creator], [0n, 0n, INITIAL]);

  // Nobody had attached anything: there is nothing to lose.
  assert.deepEqual(reconcileOwners(map, partShift), { kept: 1, removed: 0, released: 0 });
});

test('a map of an earlier agent loses the holder of a device that is free now', async (t) => {
  const map = loadMaps(t).map('owners');
  const { devno, diskseq, name } = await attachedDevice(t);
  await host(`losetup -d /dev/${name}`);
  // Somebody else, udevd for one, may still have it open; and another test may take it at once.
  await eventually('the life is over', () => {
    const loop = readLoop(name);
    return loop?.backing == null || loop.diskseq !== diskseq;
  });
  const entry = { ...NOBODY, creator: CONTAINER, holder: CONTAINER, holderDiskseq: diskseq };
  map.put(devnoKey(devno), writeOwnerEntry(entry));
  assert.deepEqual(reconcileOwners(map, loopPartShift()), { kept: 0, removed: 0, released: 1 });
  assert.equal(readOwners(map).get(devno)?.holder, 0n);
  assert.equal(creatorOf(map, devno), CONTAINER);
});

test('a device number is the key of its entry', () => {
  assert.deepEqual([...devnoKey(parseDevno('7:3') ?? 0)], [3, 0, 0x70, 0]);
});
