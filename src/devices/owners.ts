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

export type OwnerClass = 'initial' | 'userns' | 'unknown';
export const OWNER_CLASSES: readonly OwnerClass[] = ['initial', 'userns', 'unknown'];

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
  return owner === USERNS_INITIAL ? 'initial' : 'userns';
}

/** All entries, by devno. */
export function readOwners(map: BpfMap): Map<number, OwnerEntry> {
  const { count, keys, values } = map.entries();
  const view = viewOf(values);
  return new Map(
    Array.from({ length: count }, (_, index) => [
      keys.readUInt32LE(index * 4),
      readOwnerEntry(view, index * OWNER_ENTRY_SIZE),
    ]),
  );
}

/** All known user namespaces, by id. */
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

/** The creator of one device, as the map has it now. */
export function creatorOf(map: BpfMap, devno: number): bigint {
  const value = map.get(devnoKey(devno));
  return value === null ? USERNS_NONE : readOwnerEntry(viewOf(value), 0).creator;
}

export function devnoKey(devno: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(devno);
  return key;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
