/** What an OCI runtime tells a hook, and what the bundle adds to it. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { createError, reasonOf } from '../errors.js';

export const ANNOTATION = 'loopwarden.loopfs';

export interface OciState {
  id: string;
  status: 'creating' | 'created' | 'running' | 'stopped';
  /** Undefined when it has stopped. */
  pid: number | undefined;
  bundle: string;
  annotations: Readonly<Record<string, string>>;
}

/** Far more than a runtime writes: annotations are most of it. */
export const MAX_STATE_BYTES = 1 << 20;
const MAX_BUNDLE_BYTES = 16 << 20;
const STATUSES: readonly unknown[] = ['creating', 'created', 'running', 'stopped'];

/** @throws ERR_HOOK_STATE */
export function parseOciState(text: string): OciState {
  const { id, status, pid, bundle, annotations = {} } = parseObject(text);
  if (typeof id !== 'string' || id === '') throw refusal('it has no id');
  if (!STATUSES.includes(status)) throw refusal('its status is none of the specification');
  if (typeof bundle !== 'string' || !bundle.startsWith('/')) throw refusal('its bundle is no absolute path');
  if (pid !== undefined && !(Number.isInteger(pid) && (pid as number) >= 0))
    throw refusal('its pid is no number');
  if (typeof annotations !== 'object' || annotations === null) throw refusal('its annotations are no object');
  return {
    id,
    status: status as OciState['status'],
    pid: pid === 0 ? undefined : (pid as number | undefined),
    bundle,
    annotations: Object.fromEntries(
      Object.entries(annotations).filter(([, value]) => typeof value === 'string'),
    ),
  };
}

export type LoopfsWish = { wanted: false } | { wanted: true; max?: number };

/** `true`, `false`, or `max=N`. @throws ERR_HOOK_STATE */
export function readWish({ annotations }: OciState): LoopfsWish {
  const value = annotations[ANNOTATION];
  if (value === undefined || value === 'false') return { wanted: false };
  if (value === 'true') return { wanted: true };
  const max = /^max=(\d{1,7})$/.exec(value)?.[1];
  if (max === undefined || Number(max) === 0)
    throw refusal(`the annotation ${ANNOTATION} is true, false or max=N, not "${value.slice(0, 80)}"`);
  return { wanted: true, max: Number(max) };
}

export interface OciBundle {
  /** The container's root as the runtime's mount namespace names it. */
  root: string;
  /** linux.resources.devices, not checked. */
  devices: readonly unknown[];
}

/** @throws ERR_HOOK_STATE */
export function readBundle({ bundle }: OciState): OciBundle {
  const path = `${bundle}/config.json`;
  try {
    if (statSync(path).size > MAX_BUNDLE_BYTES) throw new Error('it is too large');
    const { root, linux } = parseObject(readFileSync(path, 'utf8'));
    const rootPath = (root as { path?: unknown } | undefined)?.path;
    if (typeof rootPath !== 'string') throw new Error('it has no root.path');
    const { devices } = (linux as { resources?: { devices?: unknown } } | undefined)?.resources ?? {};
    return {
      root: realpathSync(resolve(bundle, rootPath)),
      devices: Array.isArray(devices) ? devices : [],
    };
  } catch (error) {
    throw refusal(`${path}: ${reasonOf(error)}`);
  }
}

/** An instance's name for a container's id: what an instance's name may not hold becomes a hyphen. */
export function instanceNameOf(id: string): string {
  return id
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, '-')
    .replace(/^-+/, '')
    .slice(0, 63);
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refusal('it is no JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refusal('it is no JSON object');
  return value as Record<string, unknown>;
}

function refusal(reason: string) {
  return createError('ERR_HOOK_STATE', { reason });
}
