/** Parts of sentences about an event. */
import { ownerClass } from '../devices/owners.js';
import { containerWord } from './container-word.js';
import type { EventText } from './event-text.js';

/** `losetup (pid 100, uid 100000) in docker/web`. */
export function actor({ caller, container }: EventText): string {
  if (caller === undefined) return 'somebody';
  const process = `${caller.comm ?? '?'} (pid ${caller.pid ?? '?'}, uid ${caller.uid ?? '?'})`;
  if (container?.runtime !== undefined && !HOSTS.has(container.runtime)) {
    const { runtime, id = '', name } = container;
    return `${process} in ${containerWord({ runtime, id, ...(name !== undefined && { name }) })}`;
  }
  const { id, inum } = caller.userns ?? {};
  return `${process} ${ownerClass(usernsIdOf(id)) === 'userns' ? `in user namespace ${inum ?? id}` : 'of the host'}`;
}

const HOSTS: ReadonlySet<string> = new Set(['systemd', 'host', 'unknown']);

/** `/srv/disk.img (offset 4096, read-only)`. */
export function fileWords(event: EventText): string {
  const settings = settingsWords(event);
  return `${event.backing?.path ?? 'a file whose path is not known'}${settings && ` (${settings})`}`;
}

const FLAG_WORDS: Readonly<Record<string, string>> = {
  READ_ONLY: 'read-only',
  AUTOCLEAR: 'until the last close',
  PARTSCAN: 'with partitions',
  DIRECT_IO: 'with direct I/O',
};

/** What of it is not the default. */
export function settingsWords({ config }: EventText): string {
  if (config === undefined) return '';
  const { offset = 0, sizelimit = 0, flags = [], block_size: block } = config;
  return [
    ...(String(offset) === '0' ? [] : [`from byte ${offset}`]),
    ...(String(sizelimit) === '0' ? [] : [`at most ${sizelimit} bytes`]),
    ...flags.map((flag) => FLAG_WORDS[flag] ?? flag),
    ...(block === undefined || block === 0 || block === 512 ? [] : [`sectors of ${block} bytes`]),
  ].join(', ');
}

/** Whose a device is, from the id of its owner. */
export function ownerWords(id: number | string | undefined, { caller }: EventText): string {
  const kind = ownerClass(usernsIdOf(id));
  if (kind === 'initial') return 'the host';
  if (kind === 'unknown') return 'nobody that was seen';
  if (kind === 'container') return `the rootful container of id ${id}`;
  const inum = String(caller?.userns?.id) === String(id) ? caller?.userns?.inum : undefined;
  return inum === undefined ? `the user namespace of id ${id}` : `user namespace ${inum}`;
}

/** Why the kernel says so, where it says it for one reason only. */
export function troubleWords(command: string, result = ''): string {
  const words = TROUBLES[`${command} ${result}`] ?? TROUBLES[result];
  return words === undefined ? '' : `: ${words}`;
}

const TROUBLES: Readonly<Record<string, string>> = {
  'LOOP_CONFIGURE EBUSY': 'it has a file already, or is being used',
  'LOOP_SET_FD EBUSY': 'it has a file already, or is being used',
  'LOOP_CTL_REMOVE EBUSY': 'it is in use',
  'LOOP_CTL_ADD EEXIST': 'it was there already',
  ENXIO: 'no file was attached',
  ENODEV: 'there was no such device',
  EBADF: 'the descriptor of the file was none',
  EPERM: 'it was not permitted',
  EACCES: 'it was not permitted',
};

/** Ids are whole numbers; whatever else a line has is nobody's. */
export function usernsIdOf(id: number | string | undefined): bigint {
  return wholeNumber(id);
}

/** 0 for whatever else a line has. */
export function wholeNumber(word: number | string | undefined): bigint {
  return /^\d{1,20}$/.test(String(word)) ? BigInt(String(word)) : 0n;
}
