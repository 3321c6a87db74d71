/** What /sys/block says of a disk, loop or another: it may go at any time, and then says nothing. */
import { readdirSync, readFileSync } from 'node:fs';

export const SYSFS_BLOCK = '/sys/block';

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
