/**
 * What processes of the host did with devices that a user namespace owns: the host's tools at work on what is none of
 * theirs. Opens are not among the records, so what only reads a device's data is not seen here.
 */
import { ownerClass, USERNS_INITIAL } from '../devices/owners.js';
import type { LoopEvent } from '../events/decode.js';
import { LOOP_COMMAND } from '../kernel/abi.js';

/** `ioctl`: looked at or changed it; `uevent`: wrote to its sysfs uevent file, as udevd's watch and `udevadm trigger` do. */
export const HOST_ACCESSES = ['ioctl', 'uevent'] as const;
export type HostAccess = (typeof HOST_ACCESSES)[number];

/** What cleans up after a container, as loopfs does, too. */
const CLEANING: ReadonlySet<number> = new Set([
  LOOP_COMMAND.LOOP_CLR_FD,
  LOOP_COMMAND.LOOP_CTL_ADD,
  LOOP_COMMAND.LOOP_CTL_REMOVE,
  LOOP_COMMAND.LOOP_CTL_GET_FREE,
]);

export interface HostAccesses {
  note(event: LoopEvent): void;
  counts(): Readonly<Record<HostAccess, number>>;
}

/** `ownPid`: the agent's, which looks whether an orphan that it detaches is used by somebody. */
export function createHostAccesses(ownPid?: number): HostAccesses {
  const counts: Record<HostAccess, number> = { ioctl: 0, uevent: 0 };
  return {
    note(event) {
      if (event.kind === 'ioctl' && event.record.caller.pid === ownPid) return;
      const access = accessOf(event);
      if (access !== undefined) counts[access] += 1;
    },
    counts: () => counts,
  };
}

function accessOf(event: LoopEvent): HostAccess | undefined {
  if (event.kind === 'ioctl') {
    const { caller, ownerBefore, command } = event.record;
    const foreign = caller.userns.id === USERNS_INITIAL && ownerClass(ownerBefore) === 'userns';
    return foreign && !CLEANING.has(command) ? 'ioctl' : undefined;
  }
  const { emitter, owner, synthetic } = event.record;
  const foreign = emitter.userns.id === USERNS_INITIAL && ownerClass(owner) === 'userns';
  return foreign && synthetic === 1 ? 'uevent' : undefined;
}
