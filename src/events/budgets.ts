/** What each principal may have recorded of what changes no ownership; who that is, and what becomes of the rest: bpf/budget.bpf.h. */
import {
  IOCTL_EVENT_SIZE,
  type RecordBudgets,
  readRecordBudgets,
  writeRecordBudgets,
} from '../kernel/abi.js';
import type { BpfMap } from '../kernel/native.js';

/** Of the ring. What is left above is for what changes ownership. */
const SHARE = 1 / 2;
const HOST_SHARE = 3 / 4;
/** One burst fills no more of the ring than this. */
const BURST_SHARE = 1 / 8;
const HOST_BURST_SHARE = 1 / 4;
/** The host's own tools look at thousands of devices at once. */
const HOST_FACTOR = 16;
const SECOND_NS = 1_000_000_000;

const KEY = Buffer.alloc(4);

export interface BudgetOptions {
  /** Size of the ring. */
  ringBytes: number;
  recordsPerSecond: number;
}

/** Takes effect with the next record. The interval stays what it is. */
export function setBudgets(map: BpfMap, { ringBytes, recordsPerSecond }: BudgetOptions): void {
  const hostPerSecond = recordsPerSecond * HOST_FACTOR;
  const burstOf = (share: number, perSecond: number): number =>
    Math.max(1, Math.floor(Math.min(perSecond, (ringBytes * share) / IOCTL_EVENT_SIZE)));
  map.put(
    KEY,
    writeRecordBudgets({
      interval: readBudgets(map).interval,
      costNs: Math.max(1, Math.floor(SECOND_NS / recordsPerSecond)),
      burst: burstOf(BURST_SHARE, recordsPerSecond),
      sharedBytes: Math.floor(ringBytes * SHARE),
      hostCostNs: Math.max(1, Math.floor(SECOND_NS / hostPerSecond)),
      hostBurst: burstOf(HOST_BURST_SHARE, hostPerSecond),
      hostBytes: Math.floor(ringBytes * HOST_SHARE),
    }),
  );
}

/** The interval that counts belong to from now on, after the one before. Returns the new one. */
export function nextInterval(map: BpfMap): number {
  const now = readBudgets(map);
  const interval = (now.interval + 1) >>> 0;
  map.put(KEY, writeRecordBudgets({ ...now, interval }));
  return interval;
}

export function readBudgets(map: BpfMap): RecordBudgets {
  const bytes = map.get(KEY) as Buffer;
  return readRecordBudgets(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
}
