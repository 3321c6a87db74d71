/** A build of the same version with another layout of its records: what an upgrade meets. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { host } from './shell.js';
import { tempFolder } from './temp-folder.js';

/** Built already: for machines without a compiler. */
const PREBUILT = process.env.LOOPWARDEN_TEST_VARIANT;

/** Its main.js. */
export async function useVariant(t: TestContext): Promise<string> {
  if (PREBUILT !== undefined) return mainOf(PREBUILT);
  return buildVariant(tempFolder(t));
}

/** Into an empty folder. */
export async function buildVariant(folder: string): Promise<string> {
  copyPackage(folder, [
    'bpf',
    'src',
    'scripts',
    'prebuilds',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
  ]);
  // Before the fields that were there: every offset after it moves.
  const header = join(folder, 'bpf/event.h');
  replace(header, '	__s32 result; ', '	__u64 variant;\n	__u32 variant_padding;\n	__s32 result; ');
  replace(header, '	__u32 command; /* enum loop_command */', '	__u32 padding;\n	__u32 command;');
  replace(
    join(folder, 'bpf/ioctl.bpf.h'),
    '	record->result = result;',
    '	record->result = result;\n	record->variant = 1;',
  );
  await host(`cd ${folder} && bash scripts/build-bpf.sh && node_modules/.bin/tsx scripts/generate-abi.ts`);
  await host(`cd ${folder} && touch bpf/event.h && bash scripts/build-bpf.sh && bash scripts/build-ts.sh`);
  return mainOf(folder);
}

/** The main.js of this version with another text in one of its BPF sources. */
export async function buildWithBpf(
  t: TestContext,
  { file, from, to }: { file: string; from: string; to: string },
): Promise<string> {
  const folder = tempFolder(t);
  copyPackage(folder, ['bpf', 'dist', 'scripts', 'prebuilds', 'package.json']);
  replace(join(folder, 'bpf', file), from, to);
  await host(`cd ${folder} && bash scripts/build-bpf.sh`);
  return mainOf(folder);
}

function copyPackage(folder: string, names: readonly string[]): void {
  for (const name of names) cpSync(join(PACKAGE_ROOT, name), join(folder, name), { recursive: true });
  symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(folder, 'node_modules'));
}

function mainOf(folder: string): string {
  return join(folder, 'dist/main.js');
}

function replace(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8');
  if (!text.includes(from)) throw new Error(`${path}: nothing like ${from}`);
  writeFileSync(path, text.replace(from, to));
}
