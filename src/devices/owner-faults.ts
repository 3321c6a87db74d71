/** What cannot be in an owner map that only our programs have written: then none of it is to be believed unseen. */
import { type OwnerEntry, readOwnerEntry } from '../kernel/abi.js';
import type { BpfMap } from '../kernel/native.js';
import { LOOP_MAJOR } from './devno.js';
import { readUserNamespaces, USERNS_INITIAL, USERNS_NONE } from './owners.js';

/** `shape`: it is no map of owners at all. The others are of an entry. */
export type OwnerFault = 'shape' | 'device' | 'owner' | 'caller' | 'address' | 'time';

export interface KnownToOwners {
  /** As in loopPartShift. */
  partShift: number;
  /** Undefined: the table of user namespaces is full, or has been, so owners may be missing there. */
  userns: ReadonlySet<bigint> | undefined;
  /** Now on CLOCK_BOOTTIME, nanoseconds. */
  bootNs: bigint;
}

export const HASH_MAP = 1;
/** BLKDEV_MAJOR_MAX of include/linux/blkdev.h. */
const MAJOR_MAX = 511;
const MINOR_BITS = 20;
/** PID_MAX_LIMIT of include/linux/threads.h. */
const PID_MAX = 1n << 22n;
/** x86-64 has the kernel above, with five levels of page tables too. */
const KERNEL_FROM = 0xff00n << 48n;

/** Undefined: our programs can have written it. */
export function faultOf(devno: number, entry: OwnerEntry, known: KnownToOwners): OwnerFault | undefined {
  if (!isDisk(devno, known.partShift)) return 'device';
  const { creator, holder, pending, lastHolder, pendingToken, loopAddress, releasedBootNs } = entry;
  if ([creator, holder, pending, lastHolder].some((id) => !isKnown(id, known.userns))) return 'owner';
  if (pendingToken >> 32n > PID_MAX || (pendingToken & 0xffffffffn) > PID_MAX) return 'caller';
  if (loopAddress !== 0n && loopAddress < KERNEL_FROM) return 'address';
  return releasedBootNs > known.bootNs ? 'time' : undefined;
}

function isDisk(devno: number, partShift: number): boolean {
  const major = devno >>> MINOR_BITS;
  if (major !== LOOP_MAJOR) return major > 0 && major <= MAJOR_MAX;
  return devno % 2 ** partShift === 0;
}

function isKnown(id: bigint, userns: ReadonlySet<bigint> | undefined): boolean {
  return id === USERNS_NONE || id === USERNS_INITIAL || userns === undefined || userns.has(id);
}

/**
 * Entries by devno, each with what is wrong with it, if anything. `userns`: the map of the same agent; `wasFull`: once it had no room for a
 * namespace that may be an owner.
 */
export function inspectOwners(
  owners: BpfMap,
  userns: BpfMap | undefined,
  { wasFull, ...more }: Omit<KnownToOwners, 'userns'> & { wasFull: boolean },
): Map<number, { entry: OwnerEntry; bytes: Buffer; fault: OwnerFault | undefined }> {
  // In this order: whoever becomes an owner meanwhile was noted as a namespace before.
  const { count, keys, values } = owners.entries();
  const namespaces = userns && readUserNamespaces(userns);
  const known = {
    ...more,
    userns:
      !wasFull && (namespaces === undefined || namespaces.size < (userns?.maxEntries ?? 0))
        ? new Set(namespaces?.keys())
        : undefined,
  };
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const found = new Map();
  for (let at = 0; at < count; at++) {
    const devno = keys.readUInt32LE(at * owners.keySize);
    const entry = readOwnerEntry(view, at * owners.valueSize);
    const bytes = values.subarray(at * owners.valueSize, (at + 1) * owners.valueSize);
    found.set(devno, { entry, bytes, fault: faultOf(devno, entry, known) });
  }
  return found;
}
