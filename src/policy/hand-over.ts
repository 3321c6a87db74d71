/**
 * Hand-over: when a device passes from a container to the host, and what udevd knows of it is not true (any more), the
 * kernel is asked to say it again.
 *
 * - The host configures a device whose `add` it never got: `add`.
 * - A container lets go of a device of the host, and the host had been shown something of that life (the filter was
 *   off, or the life is older than the agent): `change`.
 *
 * What was hidden from its first to its last event needs no correction: udevd's picture is what it was before.
 */

import { ownerOf, USERNS_INITIAL, USERNS_NONE } from '../devices/owners.js';
import type { Change, Device } from '../devices/registry.js';
import type { LoopEvent } from '../events/decode.js';
import { LOOP_COMMAND, type OwnerEntry } from '../kernel/abi.js';

export interface HandOver {
  device: Device;
  action: 'add' | 'change';
}

const isHosts = (owner: bigint): boolean => owner === USERNS_NONE || owner === USERNS_INITIAL;

/** `creator` of the device, as the owner map has it now; asked only where it matters. */
export function handOverOf(event: LoopEvent, change: Change, creator: () => bigint): HandOver | undefined {
  const { device, ended } = change;
  if (device === undefined) return undefined;
  if (event.kind === 'ioctl') {
    const { command, result, ownerBefore, ownerAfter } = event.record;
    const begins = command === LOOP_COMMAND.LOOP_CONFIGURE || command === LOOP_COMMAND.LOOP_SET_FD;
    if (begins && result >= 0 && !isHosts(ownerBefore) && isHosts(ownerAfter) && !device.host.sawDevice)
      return { device, action: 'add' };
  }
  if (ended !== undefined && !isHosts(ended.holder) && device.host.sawLife && isHosts(creator()))
    return { device, action: 'change' };
  return undefined;
}

/**
 * The scope was `container` and is `userns` now: what rootful containers own is the host's, whose udev has not heard of it.
 * `devices`: all that exist.
 */
export function handOversOfScope(
  devices: readonly Device[],
  owners: ReadonlyMap<number, OwnerEntry>,
): HandOver[] {
  return devices
    .filter(({ devno, life }) => ownerOf(owners.get(devno), life !== undefined).class === 'container')
    .map((device) => ({ device, action: device.host.sawDevice ? 'change' : 'add' }));
}
