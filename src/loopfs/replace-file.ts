/** Writes a whole file or nothing: a reader, or a start after a kill, never finds half of it. */
import { renameSync, writeFileSync } from 'node:fs';

/** At once rather than in the background: it is on tmpfs, and the caller must not go on without it. */
export function replaceFile(path: string, text: string): void {
  const next = `${path}.next`;
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, path);
}
