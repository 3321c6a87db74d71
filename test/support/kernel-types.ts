/** The kernel's types as those of a kernel that lacks some of them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { VMLINUX_BTF } from '../../src/kernel/paths.js';
import { tempFolder } from './temp-folder.js';

/** The words that run a command where they name a field otherwise; none where they do not name it at all. */
export function withoutField(t: TestContext, field: string): string[] {
  const types = readFileSync(VMLINUX_BTF).toString('latin1');
  const altered = types.replaceAll(`\0${field}\0`, `\0${field.slice(0, -1)}_\0`);
  if (altered === types) return [];
  const path = join(tempFolder(t), 'vmlinux');
  writeFileSync(path, altered, 'latin1');
  return ['unshare', '-m', 'sh', '-ec', `mount --bind ${path} ${VMLINUX_BTF}; exec "$0" "$@"`];
}
