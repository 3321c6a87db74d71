/**
 * The columns of lsblk that a loop device has something to say in, by their names there. What would have to be read from the
 * image is refused: who attached it chose what is there, and a prober that runs as the host's root is what they aim at.
 */
import type { DeviceReport } from '../web/agent-api.js';
import type { Column } from './column.js';
import {
  diskAttribute,
  diskNumber,
  mountsOf,
  nameOfId,
  nodeStatus,
  type Room,
  roomOf,
} from './disk-attributes.js';
import { sizeText } from './size-text.js';

type DeviceColumn = Column<DeviceReport>;

/** As `lsblk -o` has it: name, file of sysfs, what it is. */
const NUMBERS: readonly (readonly [name: string, attribute: string, description: string])[] = [
  ['RM', 'removable', 'removable'],
  ['RA', 'queue/read_ahead_kb', 'read-ahead, KiB'],
  ['ROTA', 'queue/rotational', 'rotational'],
  ['RAND', 'queue/add_random', 'adds randomness'],
  ['RQ-SIZE', 'queue/nr_requests', 'requests in its queue at most'],
  ['DAX', 'queue/dax', 'can be mapped without the page cache'],
  ['PHY-SEC', 'queue/physical_block_size', 'physical sector size, bytes'],
  ['MIN-IO', 'queue/minimum_io_size', 'smallest good request, bytes'],
  ['OPT-IO', 'queue/optimal_io_size', 'best request, bytes'],
  ['ALIGNMENT', 'alignment_offset', 'where it begins on the disk below, bytes'],
  ['DISC-ZERO', 'queue/discard_zeroes_data', 'what is discarded reads as zeros'],
  ['ZONE-NR', 'queue/nr_zones', 'zones'],
  ['ZONE-OMAX', 'queue/max_open_zones', 'open zones at most'],
  ['ZONE-AMAX', 'queue/max_active_zones', 'active zones at most'],
];
const SIZES: readonly (readonly [name: string, attribute: string, description: string, unit?: number])[] = [
  ['DISC-ALN', 'discard_alignment', 'alignment of discards'],
  ['DISC-GRAN', 'queue/discard_granularity', 'what a discard is a multiple of'],
  ['DISC-MAX', 'queue/discard_max_bytes', 'most that is discarded at once'],
  ['WSAME', 'queue/write_same_max_bytes', 'most that is written by one "write same"'],
  ['ZONE-SZ', 'queue/chunk_sectors', 'size of a zone', 512],
  ['ZONE-WGRAN', 'queue/zone_write_granularity', 'what a write to a zone is a multiple of'],
  ['ZONE-APP', 'queue/zone_append_max_bytes', 'most that is appended to a zone at once'],
];
const ROOMS: readonly (readonly [name: string, key: keyof Room, description: string])[] = [
  ['FSSIZE', 'sizeBytes', 'size of the file system that is mounted from it'],
  ['FSAVAIL', 'availableBytes', 'room in it'],
  ['FSUSED', 'usedBytes', 'used of it'],
];

export const DISK_COLUMNS: readonly DeviceColumn[] = [
  { name: 'KNAME', description: 'the kernel’s name of it', text: ({ name }) => name },
  { name: 'PATH', description: 'its node, whether that is there or not', text: ({ name }) => `/dev/${name}` },
  { name: 'TYPE', description: 'loop', text: () => 'loop' },
  { name: 'SUBSYSTEMS', description: 'block', text: () => 'block' },
  {
    name: 'MOUNTPOINT',
    description: 'where it is mounted in this mount namespace, first of all',
    shrinks: { to: 12, path: true },
    text: (device) => mountsOf(device)[0]?.point ?? '',
  },
  {
    name: 'MOUNTPOINTS',
    description: 'everywhere it is',
    shrinks: { to: 12, path: true },
    text: (device) =>
      mountsOf(device)
        .map(({ point }) => point)
        .join(','),
    value: (device) => mountsOf(device).map(({ point }) => point),
  },
  {
    name: 'FSROOTS',
    description: 'what of the file system is mounted there',
    text: (device) =>
      mountsOf(device)
        .map(({ root }) => root)
        .join(','),
    value: (device) => mountsOf(device).map(({ root }) => root),
  },
  ...ROOMS.map(([name, key, description]) =>
    sizeColumn(name, description, (device) => roomOf(device)?.[key]),
  ),
  {
    name: 'FSUSE%',
    description: 'the same in percent',
    right: true,
    text: (device) => {
      const { usedBytes = 0, sizeBytes = 0 } = roomOf(device) ?? {};
      return sizeBytes > 0 ? `${Math.round((100 * usedBytes) / sizeBytes)}%` : '';
    },
  },
  {
    name: 'MODE',
    description: 'permissions of its node',
    text: (device) => modeText(nodeStatus(device)?.mode),
  },
  {
    name: 'NODE-OWNER',
    description: 'whose the node is: OWNER of lsblk',
    text: (device) => {
      const status = nodeStatus(device);
      return status ? nameOfId('/etc/passwd', status.uid) : '';
    },
  },
  {
    name: 'GROUP',
    description: 'the node’s group',
    text: (device) => {
      const status = nodeStatus(device);
      return status ? nameOfId('/etc/group', status.gid) : '';
    },
  },
  {
    name: 'SCHED',
    description: 'I/O scheduler',
    text: (device) => /\[(.+)\]/.exec(diskAttribute(device, 'queue/scheduler'))?.[1] ?? '',
  },
  { name: 'ZONED', description: 'zone model', text: (device) => diskAttribute(device, 'queue/zoned') },
  ...NUMBERS.map(
    ([name, attribute, description]): DeviceColumn => ({
      name,
      description,
      right: true,
      text: (device) => diskNumber(device, attribute)?.toString() ?? '',
      value: (device) => diskNumber(device, attribute) ?? null,
    }),
  ),
  ...SIZES.map(([name, attribute, description, unit = 1]) =>
    sizeColumn(name, description, (device) => {
      const count = diskNumber(device, attribute);
      return count === undefined ? undefined : count * unit;
    }),
  ),
];

const CONTENT =
  'it is read from the image, and whoever attached that chose what is there; if you trust it: lsblk -o';
const HARDWARE = 'a loop device is no hardware and has none';

/** Columns of lsblk and losetup that there are not, and why. */
export const REFUSED_COLUMNS: ReadonlyMap<string, string> = new Map([
  ...[
    'FSTYPE',
    'FSVER',
    'LABEL',
    'UUID',
    'PTTYPE',
    'PTUUID',
    'PARTTYPE',
    'PARTTYPENAME',
    'PARTLABEL',
    'PARTUUID',
    'PARTFLAGS',
  ].map((name): [string, string] => [name, `${CONTENT} ${name}`]),
  ...['HCTL', 'HOTPLUG', 'MODEL', 'REV', 'SERIAL', 'TRAN', 'VENDOR', 'WWN'].map((name): [string, string] => [
    name,
    HARDWARE,
  ]),
  ...['START', 'PARTN'].map((name): [string, string] => [
    name,
    'it is of a partition: PARTITIONS names them',
  ]),
  ['PKNAME', 'a loop device is on a file, not on a disk: BACK-FILE and BACK-MAJ:MIN'],
  ['REF', 'it is what the caller says of the file, not what the kernel knows: BACK-FILE'],
  ['ID', 'udev does not know a hidden device: NAME and DISKSEQ'],
  ['ID-LINK', 'udev makes no link for a hidden device: PATH'],
  ['MQ', 'it has one queue'],
  ['DISK-SEQ', 'it is called DISKSEQ here'],
]);

function sizeColumn(
  name: string,
  description: string,
  bytesOf: (device: DeviceReport) => number | undefined,
): DeviceColumn {
  return {
    name,
    description,
    right: true,
    size: true,
    text: (device) => {
      const bytes = bytesOf(device);
      return bytes === undefined ? '' : sizeText(bytes);
    },
    value: (device) => bytesOf(device) ?? null,
  };
}

/** `brw-rw----` */
function modeText(mode: number | undefined): string {
  if (mode === undefined) return '';
  const bits = Array.from({ length: 9 }, (_, at) => ((mode >> (8 - at)) & 1 ? 'rwx'[at % 3] : '-'));
  return `b${bits.join('')}`;
}
