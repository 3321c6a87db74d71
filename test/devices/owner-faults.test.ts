import assert from 'node:assert/strict';
import { test } from 'node:test';
import { devnoOf, LOOP_MAJOR } from '../../src/devices/devno.js';
import {
  faultOf,
  inspectOwners,
  type KnownToOwners,
  type OwnerFault,
} from '../../src/devices/owner-faults.js';
import { devnoKey } from '../../src/devices/owners.js';
import { type OwnerEntry, writeOwnerEntry } from '../../src/kernel/abi.js';
import { loadNative } from '../../src/kernel/native.js';
import { loadPrograms } from '../../src/kernel/programs.js';
import { CONTAINER, INITIAL, LOOP3, NOBODY } from '../event-fixture.js';

const KNOWN: KnownToOwners = { partShift: 0, userns: new Set([CONTAINER]), bootNs: 1_000_000n };
const OURS: OwnerEntry = {
  ...NOBODY,
  creator: INITIAL,
  holder: CONTAINER,
  holderDiskseq: 77n,
  pendingToken: (4_194_304n << 32n) | 17n,
  loopAddress: 0xffff_8881_0203_0400n,
  lastHolder: CONTAINER,
  releasedBootNs: 1_000_000n,
};

const fault = (more: Partial<OwnerEntry>, known: Partial<KnownToOwners> = {}, devno = LOOP3) =>
  faultOf(devno, { ...OURS, ...more }, { ...KNOWN, ...known });

test('what the programs write has no fault', () => {
  assert.equal(fault({}), undefined);
  assert.equal(faultOf(LOOP3, NOBODY, KNOWN), undefined);
  // The highest that a loop disk and any disk can have.
  assert.equal(fault({}, {}, devnoOf(LOOP_MAJOR, (1 << 20) - 1)), undefined);
  assert.equal(fault({}, {}, devnoOf(511, 5)), undefined);
  assert.equal(fault({}, { partShift: 4 }, devnoOf(LOOP_MAJOR, 32)), undefined);
  // Five levels of page tables.
  assert.equal(fault({ loopAddress: 0xff11_0001_0203_0400n }), undefined);
});

test('each word that no program can have written is a fault', () => {
  const cases: [OwnerFault, Partial<OwnerEntry>][] = [
    ['owner', { creator: 99n }],
    ['owner', { holder: 99n }],
    ['owner', { pending: 99n }],
    ['owner', { lastHolder: 99n }],
    ['caller', { pendingToken: 1n << 60n }],
    ['caller', { pendingToken: 0xffff_ffffn }],
    ['address', { loopAddress: 0x7fff_0000_0000n }],
    ['time', { releasedBootNs: 1_000_001n }],
  ];
  for (const [expected, more] of cases)
    assert.equal(fault(more), expected, JSON.stringify(Object.keys(more)));
});

test('a number that no disk has is a fault', () => {
  for (const devno of [0, 5, devnoOf(512, 0), devnoOf(4095, (1 << 20) - 1)])
    assert.equal(fault({}, {}, devno), 'device', String(devno));
  // A partition’s minor, where the driver numbers them.
  assert.equal(fault({}, { partShift: 4 }, devnoOf(LOOP_MAJOR, 33)), 'device');
});

test('an owner that came when the table of namespaces was full is none, though it has room again', (t) => {
  const programs = loadPrograms(loadNative(), {
    programs: [],
    reuse: new Map(),
    sizes: { owners: 64, userns: 64 },
  });
  t.after(() => programs.close());
  const [owners, userns] = [programs.map('owners'), programs.map('userns')];
  owners.put(devnoKey(LOOP3), writeOwnerEntry({ ...OURS, holder: 99n }));
  const inspect = (wasFull: boolean) =>
    inspectOwners(owners, userns, { partShift: 0, bootNs: 1_000_000n, wasFull }).get(LOOP3)?.fault;
  assert.deepEqual([inspect(false), inspect(true)], ['owner', undefined]);
});

test('while the table of namespaces is full, an owner that is not in it is none', () => {
  assert.equal(fault({ holder: 99n }, { userns: undefined }), undefined);
});
