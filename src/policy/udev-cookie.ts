/**
 * Device-mapper's caller (dmsetup, LVM) waits until udev has completed the uevents that it has brought about: it would wait for ever for
 * one that is hidden from udev. So the agent completes it in udev's place, once, and never one that udev gets.
 */
import type { LoopEvent } from '../events/decode.js';
import { VERDICT } from '../kernel/abi.js';
import type { Receiver } from '../kernel/receivers.js';

/** The lower half names what is waited on (libdevmapper); 0: nobody waits (--noudevsync). The upper half are flags. */
const NAME_MASK = 0xffff;

/** The cookie of an event that the host did not get, if somebody waits for it. */
export function hiddenCookie(event: LoopEvent): number | undefined {
  if (event.kind !== 'uevent') return undefined;
  const { dmCookie, verdict } = event.record;
  return verdict === VERDICT.HIDE && (dmCookie & NAME_MASK) !== 0 ? dmCookie : undefined;
}

/** Is hidden from the host's udevd what is hidden from the host? Not if it is on the allow-list, or has a filter of its own. */
export function isUdevFiltered(receivers: readonly Receiver[], udevTgid: number): boolean {
  return receivers.every(({ pid, class: kind }) => pid !== udevTgid || kind === 'filtered');
}
