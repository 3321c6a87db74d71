/** What the inventory says of disks of other drivers: those that a user namespace owns, and any by its name. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { devnoOf } from '../../src/devices/devno.js';
import type { SysfsDisk } from '../../src/devices/disks.js';
import { createInventory, type Inventory } from '../../src/devices/inventory.js';
import { devnoKey } from '../../src/devices/owners.js';
import { createRegistry } from '../../src/devices/registry.js';
import { type OwnerEntry, STACK_STATE, writeOwnerEntry } from '../../src/kernel/abi.js';
import { loadNative } from '../../src/kernel/native.js';
import { loadPrograms } from '../../src/kernel/programs.js';
import { CONTAINER, INITIAL, LOOP3, NOBODY } from '../event-fixture.js';

const disk = (minor: number, slaves: string[] = []): SysfsDisk => ({
  name: `dm-${minor}`,
  devno: devnoOf(511, minor),
  diskseq: 7n,
  sizeBytes: 1 << 20,
  logicalBlockBytes: 4096,
  readOnly: true,
  partitions: [],
  slaves,
});
const STACKED = { stacked: CONTAINER, links: 1, stack: STACK_STATE.LINKED };

/** An inventory of a host with these disks, of which the owner map says this. */
function inventoryOf(t: TestContext, disks: SysfsDisk[], owners: [number, Partial<OwnerEntry>][]): Inventory {
  const programs = loadPrograms(loadNative(), {
    programs: [],
    reuse: new Map(),
    sizes: { owners: 64, userns: 64 },
  });
  t.after(() => programs.close());
  const maps = { owners: programs.map('owners'), userns: programs.map('userns') };
  for (const [devno, entry] of owners)
    maps.owners.put(devnoKey(devno), writeOwnerEntry({ ...NOBODY, ...entry }));
  return createInventory(
    maps,
    createRegistry(0),
    { containerOfUserns: () => undefined, containerOfPidns: () => undefined },
    {
      listLoops: () => [],
      readLoop: () => undefined,
      readDisk: (name) => disks.find((each) => each.name === name),
      diskOf: (devno) => disks.find((each) => each.devno === devno),
      lookForUsers: () => () => false,
    },
  );
}

test('lists disks of other drivers that a user namespace owns, and no others', (t) => {
  const [stacked, made, left, hosts] = [disk(1, ['loop35001p1']), disk(2), disk(3), disk(4)];
  const inventory = inventoryOf(
    t,
    [stacked, made, left, hosts],
    [
      [stacked.devno, STACKED],
      [made.devno, { creator: CONTAINER }],
      [left.devno, { ...STACKED, stack: STACK_STATE.LEFT, links: 0 }],
      [hosts.devno, { creator: INITIAL }],
      [devnoOf(511, 9), STACKED],
      [LOOP3, { holder: CONTAINER }],
    ],
  );
  const rows = inventory.disks().map(({ name, owner, on, orphan }) => [name, owner.as, on, orphan]);
  assert.deepEqual(
    rows.sort(),
    // The namespace has nobody in it: an orphan, like a loop device.
    [
      ['dm-1', 'stacked', [['loop35001p1']], true],
      ['dm-2', 'creator', [], true],
    ],
  );
  assert.deepEqual(inventory.devices(), []);
});

test('a disk is found by its name, whoever owns it', (t) => {
  const inventory = inventoryOf(t, [disk(1), disk(2)], [[disk(1).devno, STACKED]]);
  const { owner, ...facts } = inventory.device('dm-1') ?? {};
  assert.deepEqual([owner?.class, owner?.userns?.id], ['userns', CONTAINER]);
  assert.deepEqual(facts, {
    name: 'dm-1',
    devno: '511:1',
    diskseq: 7n,
    state: 'bound',
    sizeBytes: 1 << 20,
    logicalBlockBytes: 4096,
    readOnly: true,
    partitions: [],
    on: [],
    backing: null,
    orphan: true,
    attachedBy: null,
    attachedBootNs: null,
    container: null,
  });
  assert.equal(inventory.device('dm-2')?.owner.class, 'unknown');
  assert.equal(inventory.device('dm-3'), undefined);
});
