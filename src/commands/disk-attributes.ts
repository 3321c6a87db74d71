/** What sysfs, /dev and mountinfo say of a device, read when a column asks for it: nobody else does. */
import { lstatSync, readFileSync, type Stats, statfsSync } from 'node:fs';
import { type MountEntry, readMounts } from '../kernel/mountinfo.js';

/** A device of the agent's answer. */
export interface Disk {
  name: string;
  devno: string;
  diskseq: bigint | number | string;
}

/** `queue/scheduler`: without the newline; empty where this host has no such device, or by now another life of it. */
export function diskAttribute({ name, diskseq }: Disk, attribute: string): string {
  const now = read(name, 'diskseq');
  // Kernels before 5.15 have none, and are believed.
  return now === '' || now === String(diskseq) ? read(name, attribute) : '';
}

/** The same as a number; undefined where it is none. */
export function diskNumber(disk: Disk, attribute: string): number | undefined {
  const text = diskAttribute(disk, attribute);
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** Of its node in /dev; undefined where there is none, as with hide.devnode. */
export function nodeStatus({ name }: Disk): Stats | undefined {
  const status = lstatSync(`/dev/${name}`, { throwIfNoEntry: false });
  return status?.isBlockDevice() ? status : undefined;
}

/** The mounts of the disk itself in this mount namespace. */
export function mountsOf({ devno }: Disk): MountEntry[] {
  return readMounts().filter((mount) => mount.devno === devno);
}

export interface Room {
  sizeBytes: number;
  availableBytes: number;
  usedBytes: number;
}

/** Of the file system that is mounted from it; undefined if none is. */
export function roomOf(disk: Disk): Room | undefined {
  const [mount] = mountsOf(disk);
  if (mount === undefined) return undefined;
  try {
    const { blocks, bavail, bfree, bsize } = statfsSync(mount.point);
    return {
      sizeBytes: blocks * bsize,
      availableBytes: bavail * bsize,
      usedBytes: (blocks - bfree) * bsize,
    };
  } catch {
    // Mounted over, or out of our reach.
    return undefined;
  }
}

/** The names behind ids, of a file in the form of /etc/passwd; the id itself where there is none. */
export function nameOfId(file: '/etc/passwd' | '/etc/group', id: number): string {
  const line = lines(file).find((each) => each.split(':')[2] === String(id));
  return line?.split(':')[0] ?? String(id);
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}

function read(name: string, attribute: string): string {
  try {
    return readFileSync(`/sys/block/${name}/${attribute}`, 'utf8').trim();
  } catch {
    return '';
  }
}
