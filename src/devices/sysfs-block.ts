/** What /sys/block says of a disk, loop or another: it may go at any time, and then says nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { parseDevno } from './devno.js';

export const SYSFS_BLOCK = '/sys/block';
const SECTOR_BYTES = 512;

/** What every driver's disk has. */
export interface BlockDisk {
  name: string;
  devno: number;
  /** 0n on kernels without it (before 5.15). */
  diskseq: bigint;
  sizeBytes: number;
  /** Of the queue: what a request is a multiple of. */
  logicalBlockBytes: number;
  readOnly: boolean;
  partitions: string[];
}

/** Undefined if there is no such disk (any more). `name` is one of the kernel's, and leads nowhere else. */
export function readBlockDisk(name: string): BlockDisk | undefined {
  const devno = parseDevno(readBlock(name, 'dev'));
  if (devno === undefined) return undefined;
  return {
    name,
    devno,
    diskseq: BigInt(readBlock(name, 'diskseq') || '0'),
    sizeBytes: Number(readBlock(name, 'size')) * SECTOR_BYTES,
    logicalBlockBytes: Number(readBlock(name, 'queue/logical_block_size')),
    readOnly: readBlock(name, 'ro') === '1',
    partitions: partitionsOf(name),
  };
}

/** Their names. */
export function partitionsOf(name: string): string[] {
  return listBlock(name).filter((child) => child.startsWith(`${name}p`));
}

/** What is in a disk's folder, or in one below it. */
export function listBlock(path: string): string[] {
  try {
    return readdirSync(`${SYSFS_BLOCK}/${path}`);
  } catch {
    return [];
  }
}

/** Without the newline. */
export function readBlock(name: string, attribute: string): string {
  try {
    return readFileSync(`${SYSFS_BLOCK}/${name}/${attribute}`, 'utf8').replace(/\n$/, '');
  } catch {
    return '';
  }
}
