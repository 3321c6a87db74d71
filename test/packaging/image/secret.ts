import { existsSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The files of a Secret as a kubelet keeps them for a pod, or changes them: links through `..data`, which leads to a folder with the files
 * and is replaced in one step (pkg/volume/util/atomic_writer.go).
 */
export function writeSecret(folder: string, files: Record<string, string | Buffer>): void {
  mkdirSync(folder, { recursive: true });
  const [link, fresh] = [join(folder, '..data'), join(folder, '..data_tmp')];
  const before = existsSync(link) ? readlinkSync(link) : undefined;
  const version = `..version-${before === undefined ? 1 : Number(before.split('-')[1]) + 1}`;
  mkdirSync(join(folder, version));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, version, name), text, { mode: 0o400 });
    if (before === undefined) symlinkSync(join('..data', name), join(folder, name));
  }
  symlinkSync(version, fresh);
  renameSync(fresh, link);
  if (before !== undefined) rmSync(join(folder, before), { recursive: true });
}
