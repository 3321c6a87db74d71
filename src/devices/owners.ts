/** The owner map and the user namespaces it speaks of. While programs are attached only BPF writes it. */
import {
  OWNER_ENTRY_SIZE,
  type OwnerEntry,
  readOwnerEntry,
  readUsernsEntry,
  STACK_STATE,
  USERNS_ENTRY_SIZE,
  type UsernsEntry,
  writeOwnerEntry,
} from '../kernel/abi.js';
import type { BpfMap } from '../kernel/native.js';
import { isLoop, loopName } from './devno.js';
import { diskOf } from './disks.js';
import { readLoop, type SysfsLoop } from './sysfs.js';

/** USERNS_INITIAL and USERNS_NONE of bpf/event.h. */
export const USERNS_INITIAL = 3n;
export const USERNS_NONE = 0n;
/** CONTAINER_ID_BITS and CONTAINER_IDS of bpf/event.h. */
const CONTAINER_ID_BITS = 40n;
const CONTAINER_IDS = 0x1fffn;

/** `container`: one that has no user namespace of its own, named by its pid namespace (hide.scope: container). */
export type OwnerClass = 'initial' | 'userns' | 'container' | 'unknown';
export const OWNER_CLASSES: readonly OwnerClass[] = ['initial', 'userns', 'container', 'unknown'];

/** `stacked`: it owns a device below this one. */
export type OwnerRole = 'holder' | 'creator' | 'stacked';

export interface Owner {
  /** USERNS_NONE: nobody was seen. */
  id: bigint;
  class: OwnerClass;
  as: OwnerRole | null;
}

/**
 * Of what is below, else holder, else creator. BPF learns that a life has ended when it next looks at the device, so the holder counts only
 * while something is attached.
 */
export function ownerOf(entry: OwnerEntry | undefined, bound: boolean): Owner {
  if (entry && isStacked(entry))
    return { id: entry.stacked, class: ownerClass(entry.stacked), as: 'stacked' };
  const holder = bound ? (entry?.holder ?? USERNS_NONE) : USERNS_NONE;
  const id = holder !== USERNS_NONE ? holder : (entry?.creator ?? USERNS_NONE);
  const role = holder !== USERNS_NONE ? 'holder' : 'creator';
  return { id, class: ownerClass(id), as: id === USERNS_NONE ? null : role };
}

/** Does it stand on a device that a user namespace owns? */
export function isStacked({ stack }: Pick<OwnerEntry, 'stack'>): boolean {
  return stack === STACK_STATE.CLAIMED || stack === STACK_STATE.LINKED;
}

export function ownerClass(owner: bigint): OwnerClass {
  if (owner === USERNS_NONE) return 'unknown';
  if (owner >> CONTAINER_ID_BITS === CONTAINER_IDS) return 'container';
  return owner === USERNS_INITIAL ? 'initial' : 'userns';
}

/** Somebody else's than the host's: hidden from it, if the scope is so. */
export function isOwned(owner: OwnerClass): boolean {
  return owner === 'userns' || owner === 'container';
}

/** All entries, by devno. */
export function readOwners(map: Pick<BpfMap, 'entries'>): Map<number, OwnerEntry> {
  const { count, keys, values } = map.entries();
  const view = viewOf(values);
  return new Map(
    Array.from({ length: count }, (_, index) => [
      keys.readUInt32LE(index * 4),
      readOwnerEntry(view, index * OWNER_ENTRY_SIZE),
    ]),
  );
}

/** All known user namespaces, and pid namespaces of containers, by id. */
export function readUserNamespaces(map: BpfMap): Map<bigint, UsernsEntry> {
  const { count, keys, values } = map.entries();
  const view = viewOf(values);
  return new Map(
    Array.from({ length: count }, (_, index) => [
      keys.readBigUInt64LE(index * 8),
      readUsernsEntry(view, index * USERNS_ENTRY_SIZE),
    ]),
  );
}

/**
 * Makes the map of an earlier agent true: devices that have gone lose their entry, lives that ended or changed unseen
 * lose their holder. Only before any program is attached, since it replaces entries.
 */
export function reconcileOwners(
  map: BpfMap,
  partShift: number,
): { kept: number; removed: number; released: number } {
  const outcome = { kept: 0, removed: 0, released: 0 };
  for (const [devno, entry] of readOwners(map)) {
    const key = devnoKey(devno);
    if (!isLoop(devno)) {
      // What it stands on is looked for when the programs act (reconcileStacks).
      const isThere = diskOf(devno) !== undefined;
      if (!isThere) map.delete(key);
      outcome[isThere ? 'kept' : 'removed']++;
      continue;
    }
    const loop = readLoop(loopName(devno, partShift));
    if (loop === undefined) {
      map.delete(key);
      outcome.removed++;
    } else if (isOver(entry, loop)) {
      map.put(key, writeOwnerEntry({ ...entry, holder: USERNS_NONE, pending: USERNS_NONE }));
      outcome.released++;
    } else {
      map.put(key, writeOwnerEntry({ ...entry, pending: USERNS_NONE }));
      outcome.kept++;
    }
  }
  return outcome;
}

function isOver(entry: OwnerEntry, { backing, diskseq }: SysfsLoop): boolean {
  return entry.holder !== USERNS_NONE && (backing === null || entry.holderDiskseq !== diskseq);
}

/** The entry of one device, as the map has it now. */
export function readOwner(map: BpfMap, devno: number): OwnerEntry | undefined {
  const value = map.get(devnoKey(devno));
  return value === null ? undefined : readOwnerEntry(viewOf(value), 0);
}

/** The creator of one device, as the map has it now. */
export function creatorOf(map: BpfMap, devno: number): bigint {
  return readOwner(map, devno)?.creator ?? USERNS_NONE;
}

export function devnoKey(devno: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(devno);
  return key;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
