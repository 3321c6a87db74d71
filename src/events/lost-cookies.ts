/**
 * Cookies of hidden uevents whose records found no room in the ring (struct lost_cookie of bpf/event.h): who waits for one would wait for
 * ever. Written before the loss is counted.
 */
import { LOST_COOKIE_SIZE, readLostCookie } from '../kernel/abi.js';
import type { BpfMap } from '../kernel/native.js';

/** All that are there, in the order of their events; each is told once. */
export function takeLostCookies(map: BpfMap): number[] {
  const { count, keys } = map.entries();
  const view = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  const lost = Array.from({ length: count }, (_, at) => ({
    key: keys.subarray(at * LOST_COOKIE_SIZE, (at + 1) * LOST_COOKIE_SIZE),
    ...readLostCookie(view, at * LOST_COOKIE_SIZE),
  }));
  lost.sort((a, b) => Number(a.bootNs - b.bootNs));
  return lost.filter(({ key }) => map.delete(key)).map(({ dmCookie }) => dmCookie);
}
