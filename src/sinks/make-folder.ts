/** Makes a folder and those above it. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Made ones get mode 0750; existing ones stay as they are. Rejects with the errno of mkdir.
 *
 * Not mkdir's own `recursive`: below /proc, where mkdir always says ENOENT, Node tries it without end.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeOne(path);
  } catch (error) {
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error;
    await makeFolder(parent);
    await makeOne(path);
  }
}

async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o750 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
