/** Which devices are shown. */

import { isOwned } from '../devices/owners.js';
import { createError } from '../errors.js';
import type { DeviceReport } from '../web/agent-api.js';
import { isContainerOf } from './container-filter.js';
import { ownerWord } from './device-columns.js';
import { type OwnerWish, parseOwner } from './owner-filter.js';

export const DEVICE_STATES = ['bound', 'unbound'] as const;

export type DeviceFilter = (device: DeviceReport) => boolean;

/** Without any option: those with a backing file, and a container's. @throws ERR_USAGE */
export function deviceFilter(options: Readonly<Record<string, unknown>>): DeviceFilter {
  const owner = parseOwner(options.owner);
  const state = parseState(options.state);
  const container = options.container === undefined ? undefined : String(options.container);
  const orphans = options.orphans === true;
  const asked = owner !== undefined || state !== undefined || container !== undefined || orphans;
  return (device) =>
    (asked || options.all === true || isInteresting(device)) &&
    (owner === undefined || isOwnedBy(device, owner)) &&
    (state === undefined || device.state === state) &&
    (container === undefined || (device.container !== null && isContainerOf(container, device.container))) &&
    (!orphans || device.orphan);
}

function isInteresting({ state, owner }: DeviceReport): boolean {
  return state === 'bound' || isOwned(owner.class);
}

function isOwnedBy(device: DeviceReport, wish: OwnerWish): boolean {
  // An orphan's owner is a namespace that is gone.
  if ('word' in wish) return wish.word === device.owner.class || ownerWord(device) === wish.word;
  const namespace = device.owner.userns ?? device.owner.pidns;
  return namespace !== null && [String(namespace.inum), String(namespace.id)].includes(wish.userns);
}

function parseState(text: unknown): string | undefined {
  const states: readonly unknown[] = DEVICE_STATES;
  if (text === undefined || states.includes(text)) return text as string | undefined;
  throw createError('ERR_USAGE', {
    reason: `--state takes ${DEVICE_STATES.join(' or ')}, not "${String(text).slice(0, 80)}"`,
  });
}
