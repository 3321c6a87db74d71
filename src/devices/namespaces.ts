/** Which namespaces have a process in them, by /proc. */
import type { UsernsEntry } from '../kernel/abi.js';
import type { NativeAddon } from '../kernel/native.js';
import { ownerClass } from './owners.js';

/**
 * Inums of the user namespaces of all processes. One that lives on only through a bind mount or an open descriptor
 * is not among them.
 */
export function populatedUserNamespaces(native: Pick<NativeAddon, 'listNamespaces'>): Set<number> {
  return inumsOf(native.listNamespaces('user'));
}

/** The same of pid namespaces, which have at least their first process until they end. */
export function populatedPidNamespaces(native: Pick<NativeAddon, 'listNamespaces'>): Set<number> {
  return inumsOf(native.listNamespaces('pid'));
}

function inumsOf(pairs: Buffer): Set<number> {
  const inums = new Set<number>();
  for (let at = 0; at < pairs.length; at += 8) inums.add(pairs.readUInt32LE(at + 4));
  return inums;
}

/** Populated, or an ancestor of one that is: the kernel keeps ancestors. */
export function livingUserNamespaces(
  known: ReadonlyMap<bigint, UsernsEntry>,
  populated: ReadonlySet<number>,
  populatedPids: ReadonlySet<number> = new Set(),
): Set<bigint> {
  const inhabited = newestOfEachInum(known).filter(([id, { inum }]) =>
    (ownerClass(id) === 'container' ? populatedPids : populated).has(inum),
  );
  return withAncestors(
    inhabited.map(([id]) => id),
    known,
  );
}

/** These, and all above them that are known. */
export function withAncestors(ids: Iterable<bigint>, known: ReadonlyMap<bigint, UsernsEntry>): Set<bigint> {
  const found = new Set<bigint>();
  for (const id of ids)
    for (let at = id; at !== 0n && !found.has(at); at = known.get(at)?.parent ?? 0n) found.add(at);
  return found;
}

/** The kernel gives a number again as soon as it is free: only who was seen with it last can be behind it now. */
function newestOfEachInum(known: ReadonlyMap<bigint, UsernsEntry>): [bigint, UsernsEntry][] {
  const newest = new Map<number, [bigint, UsernsEntry]>();
  for (const [id, entry] of known) {
    const other = newest.get(entry.inum)?.[1];
    if (other === undefined || other.firstSeenBootNs < entry.firstSeenBootNs)
      newest.set(entry.inum, [id, entry]);
  }
  return [...newest.values()];
}
