import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A folder of the test's own, gone after it. */
export function tempFolder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'loopwarden-test-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
