/** Words for values. Whatever comes from a kernel or a container goes through `plain`. */
import type { DeviceRow, EventLine } from '../page-views.js';

/** Controls, text direction, what is not to be seen, private and half characters. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text that shows what cannot be seen, at most `most` characters of it. */
export function plain(value: unknown, most = 300): string {
  const text = typeof value === 'string' ? value : value === undefined || value === null ? '' : String(value);
  const short = text.length > most ? `${text.slice(0, most)}…` : text;
  return short.replace(UNSAFE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

const numbers = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export function count(value: number): string {
  return numbers.format(value);
}

/** `0.4`, `12.3`, `1,240`. */
export function rate(value: number): string {
  return value >= 100 ? count(value) : value.toFixed(value === 0 ? 0 : 1);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function bytes(value: number): string {
  let rest = value;
  let unit = 0;
  for (; rest >= 1024 && unit < UNITS.length - 1; unit++) rest /= 1024;
  return `${rest >= 100 || Number.isInteger(rest) ? Math.round(rest) : rest.toFixed(1)} ${UNITS[unit]}`;
}

export function duration(nanoseconds: number): string {
  if (!Number.isFinite(nanoseconds)) return '';
  if (nanoseconds < 1e6) return `${(nanoseconds / 1e3).toFixed(0)} µs`;
  return nanoseconds < 1e9 ? `${(nanoseconds / 1e6).toFixed(1)} ms` : `${(nanoseconds / 1e9).toFixed(1)} s`;
}

const clock = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});
const seconds = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** `14:03:05.123`, in the reader's time zone. */
export function clockTime(ms: number): string {
  return Number.isFinite(ms) ? clock.format(ms) : '';
}

export function shortTime(ms: number): string {
  return seconds.format(ms);
}

/** `3 d 4 h`, `12 min`. */
export function age(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1000))} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `docker/shop-web`, or the first of its id. */
export function containerName(
  container: { runtime?: string; id?: string; name?: string } | null | undefined,
): string {
  if (!container) return '';
  const { runtime = '', name, id = '' } = container;
  // No container, or nobody knows: then the user namespace says more.
  if (runtime === 'host' || runtime === 'unknown') return '';
  return plain(`${runtime}/${name ?? (/^[0-9a-f]{32,}$/.test(id) ? id.slice(0, 12) : id)}`, 120);
}

/** Somebody else's than the host's. */
export function isOwned({ owner }: DeviceRow): boolean {
  return owner.class === 'userns' || owner.class === 'container';
}

/** Whose a device is: a container, a user namespace, the host. */
export function ownerName({ owner, container }: DeviceRow): string {
  if (owner.class === 'initial') return containerName(container) || 'host';
  if (owner.class === 'unknown') return 'nobody known';
  const { userns, pidns } = owner;
  return (
    containerName(container) ||
    (pidns ? `pid namespace ${pidns.inum}` : `user namespace ${userns?.inum ?? ''}`)
  );
}

/** `losetup[123]` */
export function processName(process: { pid?: number; comm?: string } | null | undefined): string {
  return process ? `${plain(process.comm, 64)}[${process.pid ?? '?'}]` : '';
}

/** Who did it: the container, else the user namespace if it is none of the host's, and the process. */
export function actorName({ container, caller }: EventLine): string {
  const { level = 0, inum } = caller?.userns ?? {};
  const whose = containerName(container) || (level > 0 ? `user namespace ${inum ?? '?'}` : '');
  return [whose, processName(caller)].filter((text) => text !== '').join(' · ');
}

/** Words for what a call does; the constant is shown beside it. */
const WORDS: Record<string, string> = {
  LOOP_CTL_GET_FREE: 'asked for a free device',
  LOOP_CTL_ADD: 'made the device',
  LOOP_CTL_REMOVE: 'removed the device',
  LOOP_CONFIGURE: 'attached',
  LOOP_SET_FD: 'attached',
  LOOP_CHANGE_FD: 'changed the file to',
  LOOP_CLR_FD: 'detached',
  LOOP_SET_STATUS: 'changed its settings',
  LOOP_SET_STATUS64: 'changed its settings',
  LOOP_GET_STATUS: 'read its settings',
  LOOP_GET_STATUS64: 'read its settings',
  LOOP_SET_CAPACITY: 'took the new size of the file',
  LOOP_SET_DIRECT_IO: 'changed direct I/O',
  LOOP_SET_BLOCK_SIZE: 'changed the block size',
  release: 'was released by its last close',
};
const TAKES_FILE = new Set(['LOOP_CONFIGURE', 'LOOP_SET_FD', 'LOOP_CHANGE_FD']);

/** What happened, in words. */
export function eventWords({ kind, command = '', backing, verdict, rule, result, gap }: EventLine): string {
  if (kind === 'uevent')
    return `${plain(command, 40)} uevent ${verdict === 'hide' ? 'hidden from the host' : 'delivered'} (${plain(rule, 40)})`;
  if (kind === 'agent') return gap ? `records lost: ${gap.records ?? '?'}` : `agent: ${plain(command, 64)}`;
  const words = WORDS[command] ?? plain(command, 64);
  const file = TAKES_FILE.has(command) && backing?.path ? ` ${plain(backing.path)}` : '';
  return result === undefined || result === 'ok'
    ? `${words}${file}`
    : `${words}${file}: refused, ${plain(result, 32)}`;
}
