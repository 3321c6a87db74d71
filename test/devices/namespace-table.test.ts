/** Which namespaces are forgotten when their table is half full, and when it is looked through. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createNamespaceTable } from '../../src/devices/namespace-table.js';
import { devnoKey, readUserNamespaces } from '../../src/devices/owners.js';
import { type OwnerEntry, STACK_STATE, USERNS_ENTRY_SIZE, writeOwnerEntry } from '../../src/kernel/abi.js';
import { STAMPS_ITERATOR } from '../../src/kernel/iterators.js';
import { loadNative } from '../../src/kernel/native.js';
import { loadPrograms } from '../../src/kernel/programs.js';
import { NOBODY } from '../event-fixture.js';

const SIZE = 64;
const INITIAL = 3n;

const word = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};

function openTable(t: TestContext) {
  const programs = loadPrograms(loadNative(), {
    programs: [STAMPS_ITERATOR],
    reuse: new Map(),
    sizes: { owners: SIZE, userns: SIZE, userns_stamps: SIZE },
  });
  t.after(() => programs.close());
  const [userns, stamps] = [programs.map('userns'), programs.map('userns_stamps')];
  const owners = programs.map('owners');
  const living = new Set<bigint>();
  let walks = 0;
  let whenRead = (): void => {};
  const statedOwners = programs.map('stated_owners');
  const table = createNamespaceTable({
    userns,
    stamps,
    owners: {
      entries() {
        const read = owners.entries();
        whenRead();
        return read;
      },
    },
    statedOwners,
    freedStamps: programs.program(STAMPS_ITERATOR).attach(stamps),
    lookForUsers(maxAgeMs) {
      assert.equal(maxAgeMs, 0, 'not what an earlier walk has seen');
      walks++;
      return (id) => living.has(id);
    },
  });
  t.after(() => table.close());
  const note = (id: bigint, parent = INITIAL): void => {
    const entry = Buffer.alloc(USERNS_ENTRY_SIZE);
    entry.writeBigUInt64LE(parent);
    userns.put(word(id), entry);
  };
  return {
    table,
    stamps,
    living,
    note,
    fill(from: bigint, count: number): void {
      for (let id = from; id < from + BigInt(count); id++) note(id);
    },
    own: (devno: number, entry: Partial<OwnerEntry>) =>
      owners.put(devnoKey(devno), writeOwnerEntry({ ...NOBODY, ...entry })),
    state: (devno: number, id: bigint) => statedOwners.put(devnoKey(devno), word(id)),
    known: () => new Set(readUserNamespaces(userns).keys()),
    walks: () => walks,
    /** Does it after each look at the owners. */
    onRead(work: () => void): void {
      whenRead = work;
    },
  };
}

test('a table that is half empty is left alone, and costs no walk', (t) => {
  const { table, fill, known, walks } = openTable(t);
  fill(100n, SIZE / 2);
  assert.equal(table.keep(), 0);
  assert.deepEqual([known().size, walks()], [SIZE / 2, 0]);
});

test('the dead go; who lives, owns, or is above one of these stays', (t) => {
  const { table, living, note, fill, own, state, known } = openTable(t);
  fill(1000n, 40);
  const roles: (keyof OwnerEntry)[] = ['creator', 'holder', 'pending', 'lastHolder', 'stacked'];
  for (const [at, role] of roles.entries()) {
    note(BigInt(10 + at));
    own((7 << 20) + at, { [role]: BigInt(10 + at), stack: STACK_STATE.NONE });
  }
  note(20n);
  state((7 << 20) + 9, 20n);
  note(30n);
  note(31n, 30n);
  note(32n, 31n);
  living.add(32n);
  assert.equal(table.keep(), 40);
  assert.deepEqual(
    [...known()].sort((a, b) => Number(a - b)),
    [10n, 11n, 12n, 13n, 14n, 20n, 30n, 31n, 32n],
  );
});

test('one that comes to own a device while the dead are found is known still, with all above it', (t) => {
  const { table, note, fill, own, known, onRead } = openTable(t);
  fill(1000n, 40);
  note(30n);
  note(31n, 30n);
  onRead(() => own(7 << 20, { holder: 31n }));
  assert.equal(table.keep(), 40);
  assert.ok(known().has(30n) && known().has(31n));
});

test('where nothing can be forgotten it is not looked for again and again', (t) => {
  const { table, living, fill, walks, known } = openTable(t);
  fill(1n, 40);
  for (let id = 1n; id <= 40n; id++) living.add(id);
  for (let look = 0; look < 10; look++) assert.equal(table.keep(), 0);
  assert.equal(walks(), 1);
  fill(1000n, SIZE / 8 + 1);
  assert.equal(table.keep(), SIZE / 8 + 1);
  assert.deepEqual([walks(), known().size], [2, 40]);
});

test('stamps of what the kernel has freed go, however few there are', (t) => {
  const { table, stamps } = openTable(t);
  const key = Buffer.alloc(16);
  // Where no namespace ever was.
  key.writeBigUInt64LE(8n);
  key.writeUInt32LE(4_026_532_101, 8);
  stamps.put(key, word(77n));
  table.keep();
  assert.equal(stamps.get(key), null);
});
