/**
 * One pass of a recording after another. What counts in the kernel goes on where the pass before ended: lives and totals are
 * of this pass, and its time is now.
 */
import type { LoopEvent } from '../events/decode.js';
import type { Caller } from '../kernel/abi.js';

export interface Pass {
  /** 0 for the first. */
  number: number;
  /** The moment at which `atNs` of the recording is played: CLOCK_BOOTTIME here, nanoseconds. Never negative. */
  timeOf(atNs: bigint): bigint;
  diskseqOf(diskseq: bigint): bigint;
}

export interface PassOptions {
  number: number;
  /** Of the recording's first frame, and of when it is played. */
  fromNs: bigint;
  startNs: bigint;
  /** How much faster than it was. */
  speed: number;
  /** Diskseqs that the recording has used up. */
  diskseqs: bigint;
}

export function createPass({ number, fromNs, startNs, speed, diskseqs }: PassOptions): Pass {
  const shift = BigInt(number) * diskseqs;
  return {
    number,
    timeOf(atNs) {
      const time = startNs + BigInt(Math.round(Number(atNs - fromNs) / speed));
      return time < 0n ? 0n : time;
    },
    // 0: there was none.
    diskseqOf: (diskseq) => (diskseq === 0n ? 0n : diskseq + shift),
  };
}

/** The event as it is in this pass. */
export function eventIn(pass: Pass, event: LoopEvent): LoopEvent {
  const { timeOf, diskseqOf } = pass;
  const callerIn = (caller: Caller): Caller => ({ ...caller, startBootNs: timeOf(caller.startBootNs) });
  const header = { ...event.record.header, bootNs: timeOf(event.record.header.bootNs) };
  if (event.kind === 'uevent') {
    const { record } = event;
    return {
      kind: 'uevent',
      record: {
        ...record,
        header,
        emitter: callerIn(record.emitter),
        diskseq: diskseqOf(record.diskseq),
      },
    };
  }
  const { record } = event;
  return {
    ...event,
    record: {
      ...record,
      header,
      caller: callerIn(record.caller),
      diskseqBefore: diskseqOf(record.diskseqBefore),
      after: { ...record.after, diskseq: diskseqOf(record.after.diskseq) },
    },
  };
}
