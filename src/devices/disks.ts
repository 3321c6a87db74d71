/**
 * Virtual disks of other drivers than loop, as sysfs shows them (Documentation/ABI/testing/sysfs-block), and what they stand on:
 * the kernel has a link in `slaves` for each device that device-mapper or md has put below (block/holder.c).
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { parseDevno } from './devno.js';
import { type BlockDisk, listBlock, readBlock, readBlockDisk, SYSFS_BLOCK } from './sysfs-block.js';

export interface SysfsDisk extends BlockDisk {
  /** Names of the disks and partitions that it stands on; empty: on none. */
  slaves: string[];
}

/** Where the link of a virtual disk in /sys/block leads. */
const VIRTUAL = '/devices/virtual/block/';
/** More than the kernel lets anybody stack (its own stack would end before). */
const DEPTH_MAX = 32;

/** Names of the virtual disks that stand on others; cheap, as most stand on none. */
export function listStacked(): string[] {
  return readdirSync(SYSFS_BLOCK).filter((name) => slavesOf(name).length > 0 && isVirtual(name));
}

/** Undefined if there is no such disk (any more), or none that is virtual. */
export function readDisk(name: string): SysfsDisk | undefined {
  if (!isDiskName(name) || !isVirtual(name)) return undefined;
  const disk = readBlockDisk(name);
  return disk && { ...disk, slaves: slavesOf(name) };
}

/** Undefined if there is none of that number (any more). */
export function diskOf(devno: number): SysfsDisk | undefined {
  try {
    const path = `/sys/dev/block/${devno >>> 20}:${devno & 0xfffff}`;
    return readDisk(basename(readlinkSync(path)));
  } catch {
    return undefined;
  }
}

/** The disk of a name below a disk: itself, or whose partition it is. Undefined if it has gone. */
export function diskOfSlave(name: string): { name: string; devno: number } | undefined {
  try {
    const path = readlinkSync(`/sys/class/block/${name}`);
    const above = basename(dirname(path));
    const disk = above === 'block' ? name : above;
    const devno = parseDevno(readBlock(disk, 'dev'));
    return devno === undefined ? undefined : { name: disk, devno };
  } catch {
    return undefined;
  }
}

/** From what it stands on down to the lowest, a row for each way down: `[['loop5p1', 'loop5']]`. */
export function chainsBelow(disk: Pick<SysfsDisk, 'slaves'>, depth = DEPTH_MAX): string[][] {
  return disk.slaves.flatMap((slave) => {
    const whole = diskOfSlave(slave)?.name ?? slave;
    const here = whole === slave ? [slave] : [slave, whole];
    const below = depth > 0 ? chainsBelow({ slaves: slavesOf(whole) }, depth - 1) : [];
    return below.length === 0 ? [here] : below.map((rest) => [...here, ...rest]);
  });
}

function slavesOf(name: string): string[] {
  return listBlock(`${name}/slaves`).sort();
}

/** A name of sysfs has `!` for each `/`; the kernel's own names are short. */
function isDiskName(name: string): boolean {
  return /^[A-Za-z][\w!.:-]{0,30}$/.test(name);
}

function isVirtual(name: string): boolean {
  try {
    return readlinkSync(`${SYSFS_BLOCK}/${name}`).includes(VIRTUAL);
  } catch {
    return false;
  }
}
