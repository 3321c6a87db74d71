/** The columns of `top`. */
import type { ActivityCounts, ActivityRow } from '../sinks/activity.js';
import type { Column } from './column.js';
import { containerWord } from './container-word.js';

/** A container, a user namespace, or the host. */
export interface LoopUser {
  /** What it is known by: `docker/web`, `userns 4026532101`, `pidns 4026532102`, `host`, `unknown`. */
  kind: 'container' | 'userns' | 'pidns' | 'host' | 'unknown';
  container: ActivityRow['container'];
  userns: { id: bigint; inum: number } | null;
  devices: number;
  bound: number;
  orphans: number;
  total: ActivityCounts;
  perSecond: ActivityCounts;
}

export const DEFAULT_USER_COLUMNS: readonly string[] = [
  'WHO',
  'USERNS',
  'DEVICES',
  'BOUND',
  'IOCTL/S',
  'FAIL/S',
  'HIDDEN/S',
  'IOCTLS',
  'FAILURES',
  'HIDDEN',
];

export const USER_COLUMNS: readonly Column<LoopUser>[] = [
  {
    name: 'WHO',
    description: 'container, user or pid namespace (its number), host, or unknown',
    shrinks: { to: 16 },
    text: whoText,
    paint: ({ orphans, kind }, { red, bold }) =>
      orphans > 0 ? red : kind === 'container' ? bold : undefined,
  },
  {
    name: 'USERNS',
    description: 'number of the user namespace, of a container the latest',
    right: true,
    text: ({ userns, kind }) =>
      userns && kind !== 'host' && kind !== 'pidns' && userns.inum > 0 ? String(userns.inum) : '',
  },
  count('DEVICES', 'devices that it owns now', ({ devices }) => devices),
  count('BOUND', 'of them, those with a backing file', ({ bound }) => bound),
  count('ORPHANS', 'of them, those whose user namespace is gone', ({ orphans }) => orphans),
  rate('IOCTL/S', 'loop ioctls a second', ({ perSecond }) => perSecond.ioctls),
  {
    ...rate('FAIL/S', 'of them, those that failed', ({ perSecond }) => perSecond.failures),
    paint: ({ perSecond }, { red }) => (perSecond.failures > 0 ? red : undefined),
  },
  rate('HIDDEN/S', 'uevents a second that the host did not get', ({ perSecond }) => perSecond.hiddenUevents),
  count('IOCTLS', 'loop ioctls since the agent’s start', ({ total }) => total.ioctls),
  count('FAILURES', 'of them, those that failed', ({ total }) => total.failures),
  count('HIDDEN', 'uevents that the host did not get', ({ total }) => total.hiddenUevents),
  {
    name: 'CONTAINER-ID',
    description: 'the container’s whole id',
    shrinks: { to: 12 },
    text: ({ container }) => container?.id ?? '',
  },
  { name: 'POD', description: 'uid of the Kubernetes pod', text: ({ container }) => container?.pod ?? '' },
];

export function whoText({ kind, container, userns }: LoopUser): string {
  if (container) return containerWord(container);
  if (kind !== 'userns' && kind !== 'pidns') return kind;
  return userns && userns.inum > 0 ? `${kind} ${userns.inum}` : `${kind} id ${userns?.id ?? '?'}`;
}

function count(name: string, description: string, value: (user: LoopUser) => number): Column<LoopUser> {
  return { name, description, right: true, value, text: (user) => String(value(user)) };
}

function rate(name: string, description: string, value: (user: LoopUser) => number): Column<LoopUser> {
  return { name, description, right: true, value, text: (user) => value(user).toFixed(1) };
}
