/**
 * Of which rootful container a uevent socket is, while hide.scope is container. The programs learn it where a socket is made or
 * bound; here are those that are older.
 */
import { type ReceiverEntry, writeReceiverKey } from './abi.js';
import type { BpfMap, NativeError } from './native.js';

/** USERNS_NONE of bpf/event.h. */
const NONE = 0n;

/** Its container's id; 0n: the host's, or not that of one container alone. `holders`: all processes that have the socket. */
export function containerOfReceiver(map: BpfMap, holders: readonly ReceiverEntry[]): bigint {
  const [first] = holders;
  // Its user namespace says more; and where containers do not count, none of them is in one.
  if (first === undefined || first.usernsLevel > 0 || holders.every(({ container }) => container === NONE))
    return NONE;
  const key = writeReceiverKey({ address: first.socketAddress, inode: first.socketInode });
  const known = map.get(key);
  if (known !== null) return known.readBigUInt64LE();
  if (holders.some(({ container }) => container !== first.container)) return NONE;
  const value = Buffer.alloc(8);
  value.writeBigUInt64LE(first.container);
  try {
    map.put(key, value, 'new');
  } catch (error) {
    // Bound in between: then it is known by that.
    if ((error as NativeError).code !== 'EEXIST') throw error;
  }
  return first.container;
}
