import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defer, type Scope } from './defer.js';

/** A folder of the test's own, gone after it. */
export function tempFolder(t: Scope): string {
  const path = mkdtempSync(join(tmpdir(), 'loopwarden-test-'));
  defer(t, () => rmSync(path, { recursive: true, force: true }));
  return path;
}
