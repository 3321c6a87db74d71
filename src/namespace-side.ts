/** What the agent knows of user namespaces: which are in use, and that their table has room. */
import type { Logger } from 'pino';
import type { Cleanup } from './cleanup.js';
import { type HostView, thisHost } from './devices/inventory.js';
import { createNamespaceTable } from './devices/namespace-table.js';
import { openNamespaceUse } from './devices/namespace-use.js';
import { HELD_ITERATOR, STAMPS_ITERATOR, USERS_ITERATOR } from './kernel/iterators.js';
import type { KernelSide } from './kernel/kernel-side.js';
import type { NativeAddon } from './kernel/native.js';

/** One processor makes some thousand namespaces a second: what is free of a table that is half full lasts until the next look. */
const INTERVAL_MS = 1000;

interface Options {
  kernel: Pick<KernelSide, 'map' | 'iterators'>;
  log: Pick<Logger, 'debug' | 'warn'>;
  cleanup: Cleanup;
}

/** Forgets the dead from now on. */
export function openNamespaceSide(native: NativeAddon, { kernel, log, cleanup }: Options): HostView {
  const { map, iterators } = kernel;
  const use = openNamespaceUse(native, { users: iterators[USERS_ITERATOR], held: iterators[HELD_ITERATOR] });
  cleanup.add(() => use.close());
  const host = thisHost(use, native);
  const table = createNamespaceTable({
    userns: map('userns'),
    stamps: map('userns_stamps'),
    owners: map('owners'),
    statedOwners: map('stated_owners'),
    freedStamps: iterators[STAMPS_ITERATOR],
    lookForUsers: host.lookForUsers,
  });
  cleanup.add(() => table.close());
  const keeping = setInterval(() => {
    try {
      const forgotten = table.keep();
      if (forgotten > 0) log.debug({ forgotten }, 'user namespaces that have ended are forgotten');
    } catch (error) {
      log.warn({ err: error }, 'user namespaces that have ended are not forgotten');
    }
  }, INTERVAL_MS);
  cleanup.add(() => clearInterval(keeping));
  return host;
}
