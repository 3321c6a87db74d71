/** What a person or program may ask an instance to be. */
import { createError } from '../errors.js';
import type { HostRequest, InstanceRequest } from './reports.js';

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
// The last one is (uid_t)-1: no user.
const ID_MOST = 2 ** 32 - 2;
const DEVICES_MOST = 1 << 20;
/** Of a container's; the host's has none of them. */
const DEFAULTS = { max: 64, uidBase: 0, gidBase: 0 };

/** @throws ERR_USAGE */
export function parseInstanceName(name: unknown): string {
  if (typeof name === 'string' && NAME.test(name)) return name;
  const reason = `an instance's name is a letter or digit and up to 62 more or hyphens (a-z, 0-9), not "${String(name).slice(0, 80)}"`;
  throw createError('ERR_USAGE', { reason });
}

/** @throws ERR_USAGE for anything unknown or out of bounds */
export function parseInstanceRequest(
  given: Readonly<Record<string, unknown>>,
): InstanceRequest | HostRequest {
  const { name, host, uevents, ...rest } = given;
  for (const key of Object.keys(rest)) {
    if (!Object.hasOwn(DEFAULTS, key)) throw createError('ERR_USAGE', { reason: `unknown key "${key}"` });
  }
  if (host !== undefined && host !== false)
    return parseHostRequest(name, host, { ...rest, ...(uevents !== undefined && { uevents }) });
  const uidBase = numberOf(rest, 'uidBase', 0, ID_MOST, DEFAULTS.uidBase);
  if (uevents !== undefined && typeof uevents !== 'boolean')
    throw createError('ERR_USAGE', { reason: 'uevents must be true or false' });
  return {
    ...(uevents === undefined ? {} : { uevents }),
    name: parseInstanceName(name),
    max: numberOf(rest, 'max', 1, DEVICES_MOST, DEFAULTS.max),
    uidBase,
    gidBase: numberOf(rest, 'gidBase', 0, ID_MOST, uidBase),
  };
}

function parseHostRequest(name: unknown, host: unknown, rest: object): HostRequest {
  if (host !== true) throw createError('ERR_USAGE', { reason: 'host must be true or false' });
  const [key] = Object.keys(rest);
  if (key !== undefined)
    throw createError('ERR_USAGE', { reason: `the host's own instance takes no "${key}"` });
  return { name: parseInstanceName(name), host };
}

function numberOf(
  given: Readonly<Record<string, unknown>>,
  key: string,
  least: number,
  most: number,
  otherwise: number,
): number {
  const value = given[key];
  if (value === undefined) return otherwise;
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most)
    return value as number;
  throw createError('ERR_USAGE', { reason: `${key} must be a whole number from ${least} to ${most}` });
}
