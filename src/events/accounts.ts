/**
 * The accounts of the records: each CPU's programs number what they make for the ring, and count what of it found no room, and
 * what they counted instead of making it; the agent counts what it reads. produced = delivered + aggregated + drops, or
 * records are unaccounted for: numbered, and neither read nor dropped.
 */
import { DROP_REASON, EVENT_KIND } from '../kernel/abi.js';
import { readCountersByCpu } from '../kernel/counters.js';
import type { BpfMap } from '../kernel/native.js';
import type { LoopEvent } from './decode.js';

export interface RecordTotals {
  /** What there was to record. */
  produced: number;
  delivered: number;
  aggregated: number;
  unaccounted: number;
}

export interface Accounts {
  /** A record has been read. */
  note(event: LoopEvent): void;
  /** After the first drain: what an earlier agent read is what is neither here nor dropped. */
  begin(): void;
  /** Reads the counters and compares, if `isEmpty` says that nothing waits in the ring. */
  check(isEmpty: () => boolean): RecordTotals;
  /** As of the last check. */
  totals(): RecordTotals;
}

/** The reasons for which a record was numbered and never got into the ring. */
const LOST = [DROP_REASON.RING_FULL, DROP_REASON.INFLIGHT_FULL];
const AGGREGATED = [EVENT_KIND.IOCTL, EVENT_KIND.UEVENT];

export interface AccountMaps {
  recordSeq: BpfMap;
  dropCounts: BpfMap;
  aggregateCounts: BpfMap;
}

export function openAccounts(maps: AccountMaps): Accounts {
  const sumsByCpu = (map: BpfMap, indices: readonly number[]): number[] => {
    const counts = indices.map((index) => readCountersByCpu(map, index));
    return (counts[0] ?? []).map((_, cpu) => counts.reduce((all, each) => all + (each[cpu] ?? 0), 0));
  };
  const numbered = (): number[] => sumsByCpu(maps.recordSeq, [0]);
  const dropped = (): number[] => sumsByCpu(maps.dropCounts, LOST);
  const atStart = { numbered: numbered(), dropped: dropped() };
  const read = atStart.numbered.map(() => 0);
  const earlier = atStart.numbered.map(() => 0);
  let base: number[] = earlier;
  let totals: RecordTotals = { produced: 0, delivered: 0, aggregated: 0, unaccounted: 0 };
  let missingBefore: number[] = earlier;
  const sum = (list: readonly number[]): number => list.reduce((all, each) => all + each, 0);

  return {
    note({ record: { header } }) {
      const { cpu } = header;
      read[cpu] = (read[cpu] ?? 0) + 1;
      if (Number(header.cpuSeq) < (atStart.numbered[cpu] ?? 0)) earlier[cpu] = (earlier[cpu] ?? 0) + 1;
    },
    begin() {
      base = atStart.numbered.map((count, cpu) => count - (atStart.dropped[cpu] ?? 0) - (earlier[cpu] ?? 0));
    },
    check(isEmpty) {
      const made = numbered();
      const lost = dropped();
      const aggregated = sum(sumsByCpu(maps.aggregateCounts, AGGREGATED));
      const unnumbered = aggregated + sum(sumsByCpu(maps.dropCounts, [DROP_REASON.AGGREGATES_FULL]));
      const delivered = made.map((_, cpu) => (base[cpu] ?? 0) + (read[cpu] ?? 0));
      const missing = made.map((count, cpu) => Math.max(0, count - (lost[cpu] ?? 0) - (delivered[cpu] ?? 0)));
      const known = { produced: sum(made) + unnumbered, delivered: sum(delivered), aggregated };
      if (!isEmpty()) {
        totals = { ...known, unaccounted: totals.unaccounted };
        return totals;
      }
      // One that came since the counters were read, or was being written, is there at the next check.
      const unaccounted = missing.map((count, cpu) => Math.min(count, missingBefore[cpu] ?? 0));
      missingBefore = missing;
      totals = { ...known, unaccounted: sum(unaccounted) };
      return totals;
    },
    totals: () => totals,
  };
}
