/** The columns of `devices`: those of losetup and lsblk by their names there, and whose a device is. */
import type { DeviceReport } from '../web/agent-api.js';
import { bootTimeMs, localTime } from './clock-text.js';
import type { Column } from './column.js';
import { containerWord } from './container-word.js';
import { DISK_COLUMNS } from './disk-columns.js';
import { sizeText } from './size-text.js';

type DeviceColumn = Column<DeviceReport>;

const yesNo = (is: boolean | undefined): string => (is === undefined ? '' : is ? 'yes' : 'no');
const flag = (is: boolean | undefined): string => (is === undefined ? '' : is ? '1' : '0');
const number = (value: number | bigint | undefined): string => (value === undefined ? '' : String(value));

export const DEFAULT_DEVICE_COLUMNS: readonly string[] = [
  'NAME',
  'STATE',
  'SIZE',
  'OWNER',
  'CONTAINER',
  'USERNS',
  'UID',
  'HIDDEN',
  'BACK-FILE',
];

/** As `losetup -l` has them, which says `0` and `1`. */
const LOSETUP_COLUMNS: readonly DeviceColumn[] = [
  { name: 'NAME', description: 'the device', text: ({ name }) => name },
  {
    name: 'MAJ:MIN',
    description: 'its number',
    text: ({ devno }) => devno,
  },
  {
    name: 'SIZE',
    description: 'its size; in bytes with --bytes and --json',
    right: true,
    size: true,
    text: ({ sizeBytes }) => sizeText(sizeBytes),
    value: ({ sizeBytes }) => sizeBytes,
  },
  {
    name: 'SIZELIMIT',
    description: 'how much of the file it may use, bytes; 0: all',
    right: true,
    text: ({ backing }) => number(backing?.sizelimit),
    value: ({ backing }) => backing?.sizelimit ?? null,
  },
  {
    name: 'OFFSET',
    description: 'where in the file it begins, bytes',
    right: true,
    text: ({ backing }) => number(backing?.offset),
    value: ({ backing }) => backing?.offset ?? null,
  },
  {
    name: 'AUTOCLEAR',
    description: 'the last close lets go of the file',
    right: true,
    text: ({ backing }) => flag(backing?.autoclear),
    value: ({ backing }) => backing?.autoclear ?? null,
  },
  {
    name: 'PARTSCAN',
    description: 'its partitions are looked for',
    right: true,
    text: ({ backing }) => flag(backing?.partscan),
    value: ({ backing }) => backing?.partscan ?? null,
  },
  {
    name: 'RO',
    description: 'read-only',
    right: true,
    text: ({ readOnly }) => flag(readOnly),
    value: ({ readOnly }) => readOnly,
  },
  {
    name: 'DIO',
    description: 'the file is used past the page cache',
    right: true,
    text: ({ backing }) => flag(backing?.directIo),
    value: ({ backing }) => backing?.directIo ?? null,
  },
  {
    name: 'LOG-SEC',
    description: 'logical sector size, bytes',
    right: true,
    text: ({ logicalBlockBytes }) => number(logicalBlockBytes || undefined),
    value: ({ logicalBlockBytes }) => logicalBlockBytes || null,
  },
  {
    name: 'BACK-FILE',
    description: 'path of the file, as the kernel tells it to the host',
    shrinks: { to: 12, path: true },
    text: ({ backing }) => backing?.path ?? '',
  },
  {
    name: 'BACK-INO',
    description: 'inode of the file, if the agent saw it attached',
    right: true,
    text: ({ backing }) => number(backing?.file?.inode),
  },
  {
    name: 'BACK-MAJ:MIN',
    description: 'device that the file is on, if the agent saw it attached',
    text: ({ backing }) => backing?.file?.devno ?? '',
  },
];

/** What losetup cannot know. */
const OWNER_COLUMNS: readonly DeviceColumn[] = [
  {
    name: 'DISKSEQ',
    description: 'the kernel’s number for this life of the device',
    right: true,
    text: ({ diskseq }) => number(diskseq),
    value: ({ diskseq }) => diskseq,
  },
  { name: 'STATE', description: 'bound (to a file) or unbound', text: ({ state }) => state },
  {
    name: 'OWNER',
    description: 'host, userns, container (rootful), orphan (its namespace is gone) or unknown',
    text: ownerWord,
    paint: ({ orphan }, { red }) => (orphan ? red : undefined),
  },
  {
    name: 'ROLE',
    description: 'holder (attached the file), creator (made the device) or stacked (owns one below it)',
    text: ({ owner }) => owner.as ?? '',
  },
  {
    name: 'CONTAINER',
    description: 'runtime and name of the container that attached the file, or the unit',
    shrinks: { to: 12 },
    text: ({ container }) => (container ? containerWord(container) : ''),
  },
  {
    name: 'RUNTIME',
    description: 'the container’s runtime',
    text: ({ container }) => container?.runtime ?? '',
  },
  {
    name: 'CONTAINER-ID',
    description: 'the container’s whole id',
    shrinks: { to: 12 },
    text: ({ container }) => container?.id ?? '',
  },
  { name: 'POD', description: 'uid of the Kubernetes pod', text: ({ container }) => container?.pod ?? '' },
  {
    name: 'USERNS',
    description: 'number (inum) of the user namespace that owns it',
    right: true,
    text: ({ owner }) => number(owner.userns?.inum),
  },
  {
    name: 'USERNS-ID',
    description: 'its id, which is never used again (Linux 6.18 and newer)',
    right: true,
    text: ({ owner }) => number(owner.userns?.id),
  },
  {
    name: 'LEVEL',
    description: 'how deep it is below the initial one',
    right: true,
    text: ({ owner }) => number(owner.userns?.level),
  },
  {
    name: 'UID',
    description: 'who made the user namespace, as the host counts',
    right: true,
    text: ({ owner }) => number(owner.userns?.ownerUid),
  },
  {
    name: 'PIDNS',
    description: 'number (inum) of the pid namespace of the rootful container that owns it',
    right: true,
    text: ({ owner }) => number(owner.pidns?.inum),
  },
  {
    name: 'HIDDEN',
    description: 'whether the host’s udev gets no event of it',
    text: ({ hidden }) => yesNo(hidden),
    value: ({ hidden }) => hidden,
    paint: ({ hidden }, { yellow }) => (hidden ? yellow : undefined),
  },
  { name: 'RULE', description: 'the rule that says so', text: ({ verdict }) => verdict.rule },
  {
    name: 'PID',
    description: 'process that attached the file, if the agent saw it',
    right: true,
    text: ({ attachedBy }) => number(attachedBy?.pid),
  },
  {
    name: 'COMM',
    description: 'its name, which it chose itself',
    text: ({ attachedBy }) => attachedBy?.comm ?? '',
  },
  {
    name: 'SINCE',
    description: 'when the file was attached, if the agent saw it',
    text: ({ attachedBootNs }) =>
      attachedBootNs === null ? '' : localTime(bootTimeMs(Number(attachedBootNs) / 1e6)),
    value: ({ attachedBootNs }) =>
      attachedBootNs === null ? null : new Date(bootTimeMs(Number(attachedBootNs) / 1e6)).toISOString(),
  },
  {
    name: 'PARTITIONS',
    description: 'its partitions, as the kernel has them now',
    shrinks: { to: 10 },
    text: ({ partitions }) => partitions.join(','),
    value: ({ partitions }) => partitions,
  },
  {
    name: 'ON',
    description: 'what it stands on (dm, md), down to the lowest: loop5p1←loop5',
    shrinks: { to: 10 },
    text: ({ on }) => on.map((chain) => chain.join('←')).join(','),
    value: ({ on }) => on,
  },
];

export const DEVICE_COLUMNS: readonly DeviceColumn[] = [
  ...LOSETUP_COLUMNS,
  ...OWNER_COLUMNS,
  ...DISK_COLUMNS,
];

/** The same with sizes in bytes. */
export function inBytes(columns: readonly DeviceColumn[]): DeviceColumn[] {
  return columns.map((column) =>
    column.size ? { ...column, text: (row) => String(column.value?.(row) ?? '') } : column,
  );
}

/** `host`, `userns`, `container`, `orphan` or `unknown`: one word for a person. */
export function ownerWord({ owner, orphan }: DeviceReport): string {
  if (orphan) return 'orphan';
  return owner.class === 'initial' ? 'host' : owner.class;
}
