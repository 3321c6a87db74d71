import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { command } from './shell.js';
import { tempFolder } from './temp-folder.js';

/** An image file of the test's own; whatever loop device still has it when the test ends is detached. */
export function tempImage(t: TestContext, sizeBytes = 8 << 20, folder = tempFolder(t)): string {
  const path = join(folder, 'disk.img');
  writeFileSync(path, '');
  truncateSync(path, sizeBytes);
  // After the folder, so before it goes: losetup finds no device of a file that is not there.
  defer(t, async () => {
    const { stdout } = await command('losetup', ['-j', path, '-n', '-O', 'NAME']);
    for (const device of stdout.split('\n').filter(Boolean)) await command('losetup', ['-d', device.trim()]);
  });
  return path;
}
