import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Makes the folders of the path that are missing; those it made, the innermost first. */
export function makeFolders(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return [];
  const above = makeFolders(dirname(path));
  mkdirSync(path);
  return [path, ...above];
}
