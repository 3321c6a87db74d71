import type { Aggregate } from '../src/events/aggregates.js';
import type { LoopEvent } from '../src/events/decode.js';
import type { Container } from '../src/identity/container.js';
import {
  type Caller,
  IOCTL_EVENT_SIZE,
  type IoctlEvent,
  LOOP_COMMAND,
  LOOP_STATE,
  type LoopConfigState,
  type OwnerEntry,
  UEVENT_ACTION,
  UEVENT_EVENT_SIZE,
  UEVENT_SUBSYSTEM,
  type UeventEvent,
} from '../src/kernel/abi.js';

export const INITIAL = 3n;
export const CONTAINER = 77_001n;
export const LOOP3 = (7 << 20) | 3;

const WEB_ID = '4f797c539e6c'.padEnd(64, '0');
/** The container `web` of Docker. */
export const WEB: Container = {
  runtime: 'docker',
  id: WEB_ID,
  name: 'web',
  confidence: 'high',
  source: 'docker state file',
  cgroup: `/docker/${WEB_ID}`,
};

const AT_NS = 5_000_000_000n;

/** `losetup` in a user namespace, or with `userns` 3n on the host. */
export function caller(userns = CONTAINER, more: Partial<Caller> = {}): Caller {
  const level = userns === INITIAL ? 0 : 1;
  return {
    pid: 100,
    tid: 101,
    startBootNs: 4_000_000_000n,
    cgroupId: 12n,
    uid: level * 100_000,
    gid: level * 100_001,
    pidns: 4_026_531_836,
    mntns: 4_026_531_832,
    netns: 4_026_531_833,
    isForeign: 0,
    userns: { id: userns, inum: 4_026_532_100 + level, level, ownerUid: level * 1000 },
    comm: 'losetup',
    ...more,
  };
}

/** With a backing file attached, unless told otherwise. */
export function configState(more: Partial<LoopConfigState> = {}): LoopConfigState {
  return {
    diskseq: 9n,
    offset: 4096n,
    sizelimit: 65_536n,
    backingInode: 42n,
    backingDev: (8 << 20) | 1,
    flags: 0,
    blockSize: 512,
    state: LOOP_STATE.BOUND,
    ...more,
  };
}

/** A device without a backing file. */
export function unboundState(more: Partial<LoopConfigState> = {}): LoopConfigState {
  return configState({
    offset: 0n,
    sizelimit: 0n,
    backingInode: 0n,
    backingDev: 0,
    state: LOOP_STATE.UNBOUND,
    ...more,
  });
}

/** A container's successful LOOP_CONFIGURE of the host's loop3, unless told otherwise. */
export function ioctlRecord(more: Partial<IoctlEvent> = {}): IoctlEvent {
  return {
    header: { kind: 1, size: IOCTL_EVENT_SIZE, cpu: 0, cpuSeq: 1n, bootNs: AT_NS },
    caller: caller(),
    command: LOOP_COMMAND.LOOP_CONFIGURE,
    result: 0,
    durationNs: 1234n,
    argument: 0n,
    devno: LOOP3,
    arch: 0,
    openerUid: 100_000,
    openerUsernsInum: 4_026_532_101,
    openerUserns: CONTAINER,
    diskseqBefore: 8n,
    ownerBefore: INITIAL,
    ownerAfter: CONTAINER,
    pathLength: 0,
    pathTruncated: 0,
    after: configState(),
    ...more,
  };
}

export function ioctlEvent(
  more: Partial<IoctlEvent> = {},
  backingPath?: string,
): LoopEvent & { kind: 'ioctl' } {
  return { kind: 'ioctl', record: ioctlRecord(more), backingPath };
}

/** The kernel's own `change` of loop3 as a container's device, hidden, unless told otherwise. */
export function ueventRecord(more: Partial<UeventEvent> = {}): UeventEvent {
  return {
    header: { kind: 2, size: UEVENT_EVENT_SIZE, cpu: 0, cpuSeq: 2n, bootNs: AT_NS + 1n },
    emitter: caller(),
    devno: LOOP3,
    action: UEVENT_ACTION.CHANGE,
    subsystem: UEVENT_SUBSYSTEM.BLOCK,
    synthetic: 0,
    verdict: 1,
    rule: 8,
    owner: CONTAINER,
    holderEnded: 0n,
    diskseq: 9n,
    state: LOOP_STATE.BOUND,
    wholeDisk: 1,
    dmCookie: 0,
    disk: '',
    ...more,
  };
}

export function ueventEvent(more: Partial<UeventEvent> = {}): LoopEvent & { kind: 'uevent' } {
  return { kind: 'uevent', record: ueventRecord(more) };
}

/** A thousand failed LOOP_GET_STATUS64 of a container, counted instead of recorded, unless told otherwise. */
export function aggregateOf(more: Partial<Aggregate> = {}): Aggregate {
  return {
    of: 'ioctl',
    command: LOOP_COMMAND.LOOP_GET_STATUS64,
    result: -6,
    count: 1000n,
    firstBootNs: AT_NS,
    lastBootNs: AT_NS + 900_000_000n,
    isForeign: 0,
    devno: LOOP3,
    isMixed: 0,
    caller: caller(),
    ...more,
  };
}

/** The owner entry of a device that nobody was seen to make or to hold. */
export const NOBODY: OwnerEntry = {
  stacked: 0n,
  links: 0,
  stack: 0,
  hostKnows: 0,
  creator: 0n,
  holder: 0n,
  holderDiskseq: 0n,
  pending: 0n,
  pendingToken: 0n,
  loopAddress: 0n,
  lastHolder: 0n,
  releasedBootNs: 0n,
};
