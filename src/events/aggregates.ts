/**
 * Records that the programs counted instead of making them. Counts belong to an interval; it is closed first and read a
 * whole interval later, when no program that saw it open can still be at work: so none is missed, and none is told twice.
 */
import {
  AGGREGATE_ENTRY_SIZE,
  AGGREGATE_KEY_SIZE,
  type AggregateEntry,
  type AggregateKey,
  EVENT_KIND,
  readAggregateEntry,
  readAggregateKey,
} from '../kernel/abi.js';
import type { BpfMap } from '../kernel/native.js';
import { nextInterval, readBudgets } from './budgets.js';
import type { Gap } from './ring.js';

export interface Aggregate extends AggregateEntry {
  of: 'ioctl' | 'uevent';
  /** As in an ioctl's record; of uevents enum uevent_action. */
  command: number;
  /** As in an ioctl's record; of uevents enum verdict. */
  result: number;
  /** As in struct caller, of all of them. */
  isForeign: number;
}

export interface Aggregates {
  /** Closes the open interval. */
  close(): void;
  /**
   * Has those of closed intervals told, and forgets them when `tell` resolves: an agent that is killed before leaves them
   * to the next. Of those closed just now counts may still be under way.
   */
  take(tell: (aggregates: readonly Aggregate[]) => Promise<void>): Promise<void>;
}

export function openAggregates(maps: { aggregates: BpfMap; recordBudgets: BpfMap }): Aggregates {
  return {
    close: () => void nextInterval(maps.recordBudgets),
    async take(tell) {
      const { interval } = readBudgets(maps.recordBudgets);
      const { count, keys, values } = maps.aggregates.entries();
      const closed: { key: Buffer; aggregate: Aggregate }[] = [];
      for (let at = 0; at < count; at++) {
        const key = keys.subarray(at * AGGREGATE_KEY_SIZE, (at + 1) * AGGREGATE_KEY_SIZE);
        const fields = readAggregateKey(viewOf(key), 0);
        if (fields.interval === interval) continue;
        closed.push({
          key,
          aggregate: aggregateOf(fields, readAggregateEntry(viewOf(values), at * AGGREGATE_ENTRY_SIZE)),
        });
      }
      if (closed.length === 0) return;
      closed.sort((a, b) => Number(a.aggregate.lastBootNs - b.aggregate.lastBootNs));
      await tell(closed.map(({ aggregate }) => aggregate));
      for (const { key } of closed) maps.aggregates.delete(key);
    },
  };
}

/** What waits in a map of another layout: the first three words are the same in all. */
export function measureAggregateGap(map: BpfMap): Gap {
  const { count, values } = map.entries();
  const view = viewOf(values);
  const gap: Gap = { records: 0, fromBootNs: 0n, toBootNs: 0n };
  for (let at = 0; at < count * map.valueSize; at += map.valueSize) {
    const [from, to] = [view.getBigUint64(at + 8, true), view.getBigUint64(at + 16, true)];
    if (gap.records === 0 || from < gap.fromBootNs) gap.fromBootNs = from;
    if (to > gap.toBootNs) gap.toBootNs = to;
    gap.records += Number(view.getBigUint64(at, true));
  }
  return gap;
}

function aggregateOf({ kind, ...key }: AggregateKey, entry: AggregateEntry): Aggregate {
  const { command, result, isForeign } = key;
  return { ...entry, of: kind === EVENT_KIND.UEVENT ? 'uevent' : 'ioctl', command, result, isForeign };
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
