/** The audit record as the agent has it; audit-line.ts writes it with the names of the contract. */

/** A 64-bit value of the kernel; a `number` where the source knows that it is a safe integer. */
export type Integer = number | bigint;

export const AUDIT_KINDS = ['ioctl', 'uevent', 'life', 'agent'] as const;
export type AuditKind = (typeof AUDIT_KINDS)[number];

/** What a line may be; an aggregate is written where what it counts is. */
export const LINE_KINDS = [...AUDIT_KINDS, 'aggregate'] as const;
export type LineKind = (typeof LINE_KINDS)[number];

export interface AuditUserns {
  id: Integer;
  inum: number;
  level: number;
  /** As the initial user namespace sees it. */
  ownerUid: number;
}

export interface AuditDevice {
  /** As in /sys/block: `loop3`. */
  name: string;
  /** The kernel's encoding: major << 20 | minor. */
  devno: number;
  diskseq?: Integer;
}

export interface AuditCaller {
  pid: number;
  tid: number;
  startBootNs: Integer;
  comm: string;
  uid: number;
  gid: number;
  userns: AuditUserns;
  pidns: number;
  mntns: number;
  netns: number;
  cgroupId: Integer;
}

/** Who opened the file descriptor that the call used. */
export interface AuditOpener {
  uid: number;
  /** Id of the user namespace. */
  userns: Integer;
}

/** Of the caller. */
export interface AuditContainer {
  runtime?: string;
  id?: string;
  name?: string;
  /** Uid of the Kubernetes pod. */
  pod?: string;
  /** What told: `cgroup`, `docker state file`. */
  source?: string;
  confidence?: string;
}

export interface AuditBacking {
  /** The kernel's encoding: major << 20 | minor. */
  dev: number;
  inode: Integer;
  path?: string;
}

export interface AuditLoopConfig {
  offset: Integer;
  sizelimit: Integer;
  /** LO_FLAGS_*. */
  flags: number;
  blockSize: number;
}

/** Owners are ids of user namespaces; absent where there is none. */
export interface AuditOwner {
  before?: Integer;
  after?: Integer;
}

/** Records that no line can tell. Times are CLOCK_BOOTTIME, nanoseconds. */
export interface AuditGap {
  records: number;
  fromBootNs: Integer;
  toBootNs: Integer;
}

/** A pinned map that could not be believed, and was moved away. */
export interface AuditQuarantine {
  map: string;
  /** What was wrong with it. */
  fault: string;
  /** Where it is now. */
  pin: string;
  /** Entries that went on into the new one, and those that did not. */
  kept: number;
  lost: number;
}

/** Events that were counted instead of recorded one by one. Times are CLOCK_BOOTTIME, nanoseconds. */
export interface AuditAggregate {
  of: 'ioctl' | 'uevent';
  count: Integer;
  firstBootNs: Integer;
  lastBootNs: Integer;
  /** `one`: all of `device`; `none`: of loop-control, without a number. */
  devices: 'one' | 'several' | 'none';
}

export interface AuditRecord {
  /** Counts the lines of the log in this run of the agent, from 1; absent on lines that only the feed gets. */
  seq?: Integer;
  /** CLOCK_BOOTTIME, nanoseconds. */
  bootNs: Integer;
  /** CLOCK_REALTIME − CLOCK_BOOTTIME, nanoseconds: `time` is `bootNs` plus this. */
  wallOffsetNs: bigint;
  kind: LineKind;
  /** The kernel's constant: `LOOP_CONFIGURE`. */
  command?: string;
  arch?: string;
  device?: AuditDevice;
  /** `ok`, or the errno's name: `EBUSY`. */
  result?: string;
  durationNs?: Integer;
  caller?: AuditCaller;
  opener?: AuditOpener;
  container?: AuditContainer;
  backing?: AuditBacking;
  config?: AuditLoopConfig;
  owner?: AuditOwner;
  verdict?: string;
  rule?: string;
  gap?: AuditGap;
  aggregate?: AuditAggregate;
  quarantine?: AuditQuarantine;
}
