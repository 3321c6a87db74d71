/**
 * Room in the tables of namespaces, which the programs only fill: who is dead, and named by nothing any more, is forgotten.
 *
 * An entry goes if a walk over the kernel has found the namespace in use nowhere, and no device names it, nor an entry that stays. The walk is
 * dear, so it waits until the table is half full. Who is forgotten in error is noted again at the next call, by the same id: that is
 * the kernel's own, or a stamp, which stays until the kernel has freed the namespace.
 */
import { USERNS_KEY_SIZE } from '../kernel/abi.js';
import type { BpfLink, BpfMap, NativeError } from '../kernel/native.js';
import type { HostView } from './inventory.js';
import { withAncestors } from './namespaces.js';
import { readOwners, readUserNamespaces } from './owners.js';

export interface NamespaceTable {
  /** Forgets who may be, if it is time to; returns how many. */
  keep(): number;
  close(): void;
}

export interface NamespaceTableOptions {
  userns: BpfMap;
  stamps: BpfMap;
  owners: Pick<BpfMap, 'entries'>;
  statedOwners: Pick<BpfMap, 'entries'>;
  /** Of STAMPS_ITERATOR; closed with the table. */
  freedStamps: BpfLink;
  lookForUsers: HostView['lookForUsers'];
}

/** Nothing to forget the last time: not again before the table has grown by so much of itself, or so many milliseconds. */
const GROWTH_PART = 8;
const PAUSE_MS = 60_000;

export function createNamespaceTable(options: NamespaceTableOptions): NamespaceTable {
  const { userns, stamps, freedStamps } = options;
  let left = 0;
  let lookedAtMs = Number.NEGATIVE_INFINITY;

  const isDue = (count: number): boolean =>
    count > userns.maxEntries / 2 &&
    (count > left + userns.maxEntries / GROWTH_PART || performance.now() - lookedAtMs > PAUSE_MS);

  const dropStamps = (): void => {
    const keys = freedStamps.readIterator();
    for (let at = 0; at + USERNS_KEY_SIZE <= keys.length; at += USERNS_KEY_SIZE)
      stamps.delete(keys.subarray(at, at + USERNS_KEY_SIZE));
  };

  const forget = (): number => {
    const inUse = options.lookForUsers(0);
    const known = readUserNamespaces(userns);
    const living = [...known.keys()].filter((id) => inUse(id, known));
    const kept = withAncestors([...living, ...namedBy(options)], known);
    const going = [...known.keys()].filter((id) => !kept.has(id));
    const entries = new Map(going.map((id) => [id, userns.get(idKey(id))]));
    for (const id of going) userns.delete(idKey(id));
    // Who came to be named in between was in use, whatever the walk has seen.
    const named = withAncestors(namedBy(options), known);
    const back = going.filter((id) => named.has(id));
    for (const id of back) putBack(userns, idKey(id), entries.get(id) ?? null);
    return going.length - back.length;
  };

  return {
    keep() {
      dropStamps();
      const { count } = userns.entries();
      if (!isDue(count)) return 0;
      const forgotten = forget();
      left = count - forgotten;
      lookedAtMs = performance.now();
      return forgotten;
    },
    close: () => freedStamps.close(),
  };
}

/** The ids that devices name, those too that are being made. Of listeners none needs an entry: what one hears is decided by those of the owner. */
function namedBy({
  owners,
  statedOwners,
}: Pick<NamespaceTableOptions, 'owners' | 'statedOwners'>): Set<bigint> {
  const named = new Set<bigint>();
  for (const { creator, holder, pending, lastHolder, stacked } of readOwners(owners).values())
    for (const id of [creator, holder, pending, lastHolder, stacked]) named.add(id);
  const { count, values } = statedOwners.entries();
  for (let at = 0; at < count; at++) named.add(values.readBigUInt64LE(at * 8));
  return named;
}

function idKey(id: bigint): Buffer {
  const key = Buffer.alloc(8);
  key.writeBigUInt64LE(id);
  return key;
}

function putBack(userns: BpfMap, key: Buffer, entry: Buffer | null): void {
  if (entry === null) return;
  try {
    userns.put(key, entry, 'new');
  } catch (error) {
    // Noted again by itself.
    if ((error as NativeError).code !== 'EEXIST') throw error;
  }
}
