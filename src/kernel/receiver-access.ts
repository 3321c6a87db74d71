/** What is done to a receiver's socket: the filter on and off it, and its place on the allow-list. */
import type { ReceiverEntry } from './abi.js';
import type { BpfMap, BpfProgram, NativeAddon, NativeError, ReceiverSocket } from './native.js';

type Place = Pick<ReceiverEntry, 'pid' | 'fd' | 'socketInode'>;

/** Runs `work` on the socket. Undefined, or why it could not be done, in words. */
export function reachReceiver(
  native: Pick<NativeAddon, 'openReceiver'>,
  { pid, fd, socketInode }: Place,
  work: (socket: ReceiverSocket) => void,
): string | undefined {
  try {
    const socket = native.openReceiver(pid, fd);
    try {
      // The descriptor may lead to another socket by now.
      if (socket.inode !== socketInode) return 'its socket has changed';
      work(socket);
    } finally {
      socket.close();
    }
  } catch (error) {
    const { code } = error as NativeError;
    if (code === 'EPERM') return 'it has locked its filter (SO_LOCK_FILTER)';
    return `could not be reached (${code})`;
  }
  return undefined;
}

/**
 * Replaces in one step where the socket's memory (net.core.optmem_max, 20 KiB before 6.7) has room for two filters;
 * elsewhere the old one goes first, and the socket is bare for some microseconds.
 */
export function attachFilter(socket: ReceiverSocket, delivery: BpfProgram): void {
  try {
    socket.attach(delivery);
  } catch (error) {
    if ((error as NativeError).code !== 'ENOMEM' || !socket.detach()) throw error;
    socket.attach(delivery);
  }
}

/** False if there was none, or the receiver has gone: then so is its filter. */
export function detachFilter(native: Pick<NativeAddon, 'openReceiver'>, place: Place): boolean {
  let was = false;
  reachReceiver(native, place, (socket) => {
    was = socket.detach();
  });
  return was;
}

/** From now on it gets everything. @throws E2BIG when the map is full */
export function allowReceiver(allowed: BpfMap, cookie: bigint): void {
  allowed.put(cookieKey(cookie), Buffer.from([1, 0, 0, 0]));
}

/** No longer of use: the socket is closed. */
export function forgetReceiver(allowed: BpfMap, cookie: bigint): void {
  allowed.delete(cookieKey(cookie));
}

/** Takes all others off the list: sockets that have gone, and those of whom meets no rule any more. */
export function allowOnly(allowed: BpfMap, cookies: ReadonlySet<bigint>): void {
  const { count, keys } = allowed.entries();
  for (let at = 0; at < count; at++) {
    const cookie = keys.readBigUInt64LE(at * 8);
    if (!cookies.has(cookie)) allowed.delete(cookieKey(cookie));
  }
}

function cookieKey(cookie: bigint): Buffer {
  const key = Buffer.alloc(8);
  key.writeBigUInt64LE(cookie);
  return key;
}
