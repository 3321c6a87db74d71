/** Loop devices as sysfs shows them (Documentation/ABI/testing/sysfs-block, sysfs-block-loop). */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseDevno } from './devno.js';
import { type BlockDisk, partitionsOf, readBlock, readBlockDisk, SYSFS_BLOCK } from './sysfs-block.js';

export interface SysfsLoop extends BlockDisk {
  /** Nothing is attached: null. */
  backing: {
    /** Empty where it does not fit into a page: sysfs does not tell it then. */
    path: string;
    offset: number;
    sizelimit: number;
    autoclear: boolean;
    partscan: boolean;
    dio: boolean;
  } | null;
}

/** In the order of their numbers. */
export function listLoops(): SysfsLoop[] {
  return readdirSync(SYSFS_BLOCK)
    .filter((name) => /^loop\d+$/.test(name))
    .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)))
    .flatMap((name) => readLoop(name) ?? []);
}

/** Undefined if there is no such device (any more). */
export function readLoop(name: string): SysfsLoop | undefined {
  if (!/^loop\d{1,7}$/.test(name)) return undefined;
  const disk = readBlockDisk(name);
  return disk && { ...disk, backing: readBacking(name) };
}

/** Whether a file is attached: the folder is there from LOOP_CONFIGURE to the last moment of a detachment. */
export function isBound(name: string): boolean {
  return existsSync(`${SYSFS_BLOCK}/${name}/loop/backing_file`);
}

/** Names and numbers of the disk's node and of its partitions'; empty if there is no such disk. */
export function nodesOf(name: string): Map<string, number> {
  const nodes = new Map<string, number>();
  const disk = parseDevno(readBlock(name, 'dev'));
  if (disk === undefined) return nodes;
  nodes.set(name, disk);
  for (const child of partitionsOf(name)) {
    const devno = parseDevno(readBlock(name, `${child}/dev`));
    if (devno !== undefined) nodes.set(child, devno);
  }
  return nodes;
}

/** Asks the kernel to send the uevent `action` for the device again. @throws what the write throws */
export function triggerUevent(name: string, action: 'add' | 'change'): void {
  writeFileSync(`${SYSFS_BLOCK}/${name}/uevent`, action);
}

function readBacking(name: string): SysfsLoop['backing'] {
  const path = readBackingPath(name);
  if (path === null) return null;
  const flag = (attribute: string): boolean => readBlock(name, `loop/${attribute}`) === '1';
  return {
    path,
    offset: Number(readBlock(name, 'loop/offset')),
    sizelimit: Number(readBlock(name, 'loop/sizelimit')),
    autoclear: flag('autoclear'),
    partscan: flag('partscan'),
    dio: flag('dio'),
  };
}

/** Null: nothing is attached. */
function readBackingPath(name: string): string | null {
  try {
    return readFileSync(`${SYSFS_BLOCK}/${name}/loop/backing_file`, 'utf8').replace(/\n$/, '') || null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENAMETOOLONG' ? '' : null;
  }
}
