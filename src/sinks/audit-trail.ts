/** Gives each audit entry its number and time, and takes it where it belongs: the log, and the feed. */
import type { AuditEntry } from './audit-events.js';
import { formatAuditLine } from './audit-line.js';
import type { AuditLog } from './audit-log.js';
import type { AuditKind } from './audit-record.js';
import type { EventFeed } from './event-feed.js';

export interface AuditTrail {
  record(entry: AuditEntry): void;
  /** Now on CLOCK_BOOTTIME, nanoseconds: for entries that no record of the kernel brought. */
  bootNow(): bigint;
  /** What the agent itself did, now: no record of the kernel brought it. */
  recordAgent(command: string, more?: Pick<AuditEntry, 'gap' | 'quarantine'>): void;
}

export interface AuditTrailOptions {
  log: AuditLog;
  feed: EventFeed;
  kinds: readonly AuditKind[];
  maxLineBytes: number;
  /** Nanoseconds of CLOCK_BOOTTIME and CLOCK_REALTIME. */
  readClocks: () => { bootNs: bigint; wallNs: bigint };
}

/** What changes whose a device is must not be lost with the power. */
const OWNERSHIP: ReadonlySet<string> = new Set([
  'LOOP_CONFIGURE',
  'LOOP_SET_FD',
  'LOOP_CHANGE_FD',
  'LOOP_CLR_FD',
  'LOOP_CTL_ADD',
  'LOOP_CTL_REMOVE',
  'LOOP_CTL_GET_FREE',
]);

/** Whether a line is to be durable at once; the others are with the next one, or with the next checkpoint. */
export function isUrgent({ kind, command = '', result }: AuditEntry): boolean {
  if (kind === 'ioctl') return result === 'ok' && OWNERSHIP.has(command);
  return kind === 'life' || kind === 'agent';
}

/** `audit.kinds` says of what it counts whether an aggregate is written. */
function loggedAs({ kind, aggregate }: AuditEntry): AuditKind {
  return kind === 'aggregate' ? (aggregate?.of ?? 'ioctl') : kind;
}

/** The wall clock may be set while we run: its offset is taken anew this often. */
const OFFSET_MAX_AGE_NS = 1_000_000_000n;

export function createAuditTrail({
  log,
  feed,
  kinds,
  maxLineBytes,
  readClocks,
}: AuditTrailOptions): AuditTrail {
  const logged = new Set(kinds);
  let seq = 0;
  let offsetNs = 0n;
  let offsetTakenNs = -OFFSET_MAX_AGE_NS;

  const wallOffset = (bootNs: bigint): bigint => {
    if (bootNs - offsetTakenNs >= OFFSET_MAX_AGE_NS) {
      const clocks = readClocks();
      offsetTakenNs = clocks.bootNs;
      offsetNs = clocks.wallNs - clocks.bootNs;
    }
    return offsetNs;
  };

  const record = (entry: AuditEntry): void => {
    const toLog = logged.has(loggedAs(entry));
    if (!toLog && !feed.wanted()) return;
    const wallOffsetNs = wallOffset(BigInt(entry.bootNs));
    const numbered = toLog ? { ...entry, seq: ++seq, wallOffsetNs } : { ...entry, wallOffsetNs };
    const line = formatAuditLine(numbered, maxLineBytes);
    if (toLog) log.write(line, isUrgent(entry));
    feed.publish(line);
  };

  const bootNow = (): bigint => readClocks().bootNs;

  return {
    record,
    bootNow,
    recordAgent: (command, more) =>
      record({ bootNs: bootNow(), kind: 'agent', command, result: 'ok', ...more }),
  };
}
