/** What this build is. */
import { readFileSync } from 'node:fs';
import { PACKAGE_ROOT } from './kernel/paths.js';

interface PackageFile {
  version: string;
}

export const VERSION = (JSON.parse(readFileSync(`${PACKAGE_ROOT}package.json`, 'utf8')) as PackageFile)
  .version;

/** The commit, if this is a clone; `unknown` in a package. Read without git, which the host may not have. */
export function readRevision(): string {
  try {
    const head = readFileSync(`${PACKAGE_ROOT}.git/HEAD`, 'utf8').trim();
    const ref = /^ref: (.+)$/.exec(head)?.[1];
    return (ref ? readFileSync(`${PACKAGE_ROOT}.git/${ref}`, 'utf8').trim() : head).slice(0, 12);
  } catch {
    return 'unknown';
  }
}
