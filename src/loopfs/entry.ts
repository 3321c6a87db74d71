/** An instance as the registry keeps it: what is written down of it, and what is open. */
import { closeSync } from 'node:fs';
import type { Instance } from './instance.js';
import type { PartitionLinks } from './partitions.js';
import type { InstanceRecord } from './state-file.js';

export interface Entry {
  instance: Instance;
  record: InstanceRecord;
  /** The server's number of it; null once it has ended. */
  served: number | null;
  mountFd: number | null;
  /** st_dev of the file system. */
  device: number;
  /** Null until it is placed. */
  partitions: PartitionLinks | null;
}

/** Then only a container's mount namespace keeps the mount. */
export function closeMount(entry: Entry): void {
  if (entry.mountFd !== null) closeSync(entry.mountFd);
  entry.mountFd = null;
}
