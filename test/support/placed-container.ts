/** A container with mapped ids, unprivileged on the host, that has an instance by `loopfs attach --pid`. */
import { chmodSync, chownSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { LoopfsHost } from './loopfs-serve.js';
import {
  DEV_WITH_NODES,
  MAPPED_ROOT,
  type MappedContainer,
  startMappedContainer,
} from './mapped-container.js';
import { tempFolder } from './temp-folder.js';

export interface PlacedContainer extends MappedContainer {
  /** A folder that its root owns. */
  home: string;
  /** A file of its root's. */
  image(sizeBytes: number): string;
}

export async function startPlacedContainer(
  t: TestContext,
  host: LoopfsHost,
  name: string,
  max = 16,
  /** More for `loopfs create`. */
  options: readonly string[] = [],
): Promise<PlacedContainer> {
  const home = tempFolder(t);
  chmodSync(home, 0o755);
  chownSync(home, MAPPED_ROOT, MAPPED_ROOT);
  const container = await startMappedContainer(t, { prepare: DEV_WITH_NODES });
  await host.ask('create', name, '--max', String(max), '--uid-base', String(MAPPED_ROOT), ...options);
  await host.ask('attach', name, '--pid', String(container.pid));
  let images = 0;
  return {
    ...container,
    home,
    image(sizeBytes) {
      const path = join(home, `image${images++}`);
      writeFileSync(path, '');
      truncateSync(path, sizeBytes);
      chownSync(path, MAPPED_ROOT, MAPPED_ROOT);
      return path;
    },
  };
}
