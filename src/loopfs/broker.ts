/** Who makes and unmakes devices for containers: the kernel directly, or the agent, which states the owner first. */
import type { UsernsId } from './native.js';

/** Everything rejects with an ErrnoError that has the kernel's errno. */
export interface DeviceBroker {
  /** Makes the device with this number for a user namespace; null: nobody's but the host's. EEXIST if it is there. */
  create(owner: UsernsId | null, number: number): Promise<void>;
  /** Takes the device away. EBUSY while it is bound or open, ENODEV if there is none. */
  remove(number: number): Promise<void>;
  /** Lets go of the backing file, now or, where others have the device open, when they close it. ENXIO if none. */
  detach(number: number): Promise<void>;
  /** Reads the partition table anew. EBUSY while a partition is open, EINVAL where partitions are not scanned. */
  rescan(number: number): Promise<void>;
  exists(number: number): boolean;
  isBound(number: number): boolean;
}
