/**
 * What stands on what, from sysfs: where the kernel's hooks tell of it (disk_stacking), only what was so before they did; where it
 * has none, all of it, a moment later than it happens. And what has left a container's device and is still there: the host's.
 */
import { type OwnerEntry, STACK_STATE, writeOwnerEntry } from '../kernel/abi.js';
import type { BpfMap } from '../kernel/native.js';
import { isLoop } from './devno.js';
import { diskOf, diskOfSlave, listStacked, readDisk, type SysfsDisk } from './disks.js';
import { devnoKey, isOwned, isStacked, ownerOf, readOwners, USERNS_NONE } from './owners.js';

export interface StackMaps {
  owners: BpfMap;
  disks: BpfMap;
  stackLinks: BpfMap;
}

/** DISK_NAME_LENGTH of bpf/event.h. */
const NAME_BYTES = 32;
/** Between its leaving and its end a disk that is removed is there for a moment too. */
const LEFT_MIN_NS = 2_000_000_000n;

const NOBODY: OwnerEntry = {
  creator: USERNS_NONE,
  holder: USERNS_NONE,
  holderDiskseq: 0n,
  pending: USERNS_NONE,
  pendingToken: 0n,
  loopAddress: 0n,
  lastHolder: USERNS_NONE,
  releasedBootNs: 0n,
  stacked: USERNS_NONE,
  links: 0,
  stack: STACK_STATE.NONE,
  hostKnows: 0,
};

/** Is any device a container's? Else nothing can stand on one. */
export function isAnyOwned(owners: BpfMap): boolean {
  return [...readOwners(owners).values()].some((entry) => isOwned(ownerOf(entry, true).class));
}

/** Tags what stands on an owned device and is not tagged yet. Returns the names of what it found. */
export function adoptStacks(maps: StackMaps): string[] {
  const found: string[] = [];
  // What stands on one that has just been found is found by the next turn.
  for (let before = -1; found.length > before; ) {
    before = found.length;
    const owners = readOwners(maps.owners);
    for (const name of listStacked()) {
      const disk = readDisk(name);
      if (disk && adoptDisk(maps, disk, owners)) found.push(name);
    }
  }
  return found;
}

/** Takes the tag off what stands on no owned device any more: for where no hook tells of it. */
export function releaseStacks({ owners }: StackMaps, nowBootNs: bigint): void {
  const entries = readOwners(owners);
  for (const [devno, entry] of entries) {
    if (!isStacked(entry)) continue;
    const disk = diskOf(devno);
    if (disk && ownedBelow(disk, entries).length === 0)
      owners.put(
        devnoKey(devno),
        writeOwnerEntry({ ...entry, stack: STACK_STATE.LEFT, links: 0, releasedBootNs: nowBootNs }),
      );
  }
}

/** Disks that have left what a user namespace owns and go on: the host is to be told of them, with what action. */
export function leftDisks(owners: BpfMap, nowBootNs: bigint): { name: string; action: 'add' | 'change' }[] {
  return [...readOwners(owners)].flatMap(([devno, { stack, releasedBootNs, hostKnows }]) => {
    if (stack !== STACK_STATE.LEFT || nowBootNs - releasedBootNs < LEFT_MIN_NS) return [];
    const disk = diskOf(devno);
    return disk ? [{ name: disk.name, action: hostKnows ? 'change' : 'add' }] : [];
  });
}

function adoptDisk(
  { owners, disks, stackLinks }: StackMaps,
  disk: SysfsDisk,
  entries: ReadonlyMap<number, OwnerEntry>,
): boolean {
  const entry = entries.get(disk.devno);
  if (isLoop(disk.devno) || (entry && isStacked(entry))) return false;
  const below = ownedBelow(disk, entries);
  const [first] = below;
  if (first === undefined) return false;
  for (const { devno } of below)
    stackLinks.put(Buffer.concat([devnoKey(disk.devno), devnoKey(devno)]), Buffer.alloc(8));
  disks.put(nameKey(disk.name), devnoKey(disk.devno));
  // It was announced before anybody knew.
  const tagged = { stacked: first.owner, links: below.length, stack: STACK_STATE.LINKED, hostKnows: 1 };
  owners.put(devnoKey(disk.devno), writeOwnerEntry({ ...(entry ?? NOBODY), ...tagged }));
  return true;
}

/** The disks below that a container owns, each once. */
function ownedBelow(
  { slaves }: SysfsDisk,
  entries: ReadonlyMap<number, OwnerEntry>,
): { devno: number; owner: bigint }[] {
  const devnos = new Set(slaves.flatMap((slave) => diskOfSlave(slave)?.devno ?? []));
  return [...devnos].flatMap((devno) => {
    const owner = ownerOf(entries.get(devno), true);
    return isOwned(owner.class) ? [{ devno, owner: owner.id }] : [];
  });
}

function nameKey(name: string): Buffer {
  const key = Buffer.alloc(NAME_BYTES);
  key.write(name, 0, NAME_BYTES - 1, 'latin1');
  return key;
}
