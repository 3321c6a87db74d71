/**
 * What processes of the host did with devices that a container owns: the host's tools at work on what is none of theirs. Whose
 * process and whose device it is the kernel says, at the moment of the call (is_foreign of bpf/emit.bpf.h): of what was counted
 * instead of recorded, too, since a tool of the host's is one of those who can come to the end of their budget. Opens are
 * not among the records, so what only reads a device's data is not seen here.
 */
import type { Aggregate } from '../events/aggregates.js';
import type { LoopEvent } from '../events/decode.js';
import { type Caller, LOOP_COMMAND } from '../kernel/abi.js';

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
  noteAggregate(aggregate: Aggregate): void;
  counts(): Readonly<Record<HostAccess, number>>;
}

/** `ownPid`: the agent's, which looks whether an orphan that it detaches is used by somebody. */
export function createHostAccesses(ownPid?: number): HostAccesses {
  const counts: Record<HostAccess, number> = { ioctl: 0, uevent: 0 };
  const count = (by: HostAccess, caller: Caller, isForeign: number, command: number, times: number): void => {
    if (isForeign === 0 || caller.pid === ownPid) return;
    if (by === 'uevent' || !CLEANING.has(command)) counts[by] += times;
  };
  return {
    note(event) {
      if (event.kind === 'ioctl') {
        const { caller, command } = event.record;
        count('ioctl', caller, caller.isForeign, command, 1);
      } else {
        const { emitter, action } = event.record;
        count('uevent', emitter, emitter.isForeign, action, 1);
      }
    },
    noteAggregate: ({ of, caller, isForeign, command, count: times }) =>
      count(of, caller, isForeign, command, Number(times)),
    counts: () => counts,
  };
}
