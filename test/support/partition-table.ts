/** Images with a partition table, made by the real sfdisk, and whether this kernel reads any. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export const TABLES = { gpt: 'gpt', mbr: 'dos' } as const;
export type Table = keyof typeof TABLES;

const CONFIG = '/proc/config.gz';

/** Only a kernel that says that it was built without is believed. */
export function readsTables(): boolean {
  if (!existsSync(CONFIG)) return true;
  return !gunzipSync(readFileSync(CONFIG)).toString().includes('# CONFIG_EFI_PARTITION is not set');
}

/** Writes a table with these partitions, of so many MiB each, to an image or a device that is in use. */
export function writeTable(path: string, table: Table, sizesMib: readonly number[]): void {
  const script = sizesMib.map((size) => `size=${size}MiB\n`).join('');
  execFileSync('sfdisk', sfdiskWords(path, table), { input: script, stdio: ['pipe', 'ignore', 'inherit'] });
}

/** The same as a shell command. */
export function tableCommand(path: string, table: Table, sizesMib: readonly number[]): string {
  const script = sizesMib.map((size) => `size=${size}MiB\\n`).join('');
  return `printf '${script}' | sfdisk ${sfdiskWords(path, table).join(' ')}`;
}

/** Not a word to the kernel, and no wait for udev. */
function sfdiskWords(path: string, table: Table): string[] {
  return ['-q', '--no-reread', '--no-tell-kernel', '--lock=no', '-w', 'always', '-X', TABLES[table], path];
}
