/** Reads the per-CPU counters: exact whatever happened to the ring. */
import { DROP_REASON_NAMES, DURATION_HISTOGRAM_SIZE, readDurationHistogram } from './abi.js';
import type { BpfMap } from './native.js';

const WORD = 8;

/** The sum over all CPUs of each u64 of a per-CPU array. Exact up to 2^53. */
export function readCounters(map: BpfMap): Float64Array {
  const { count, keys, values } = map.entries();
  const sums = new Float64Array(map.maxEntries);
  const stride = WORD * map.cpus;
  for (let entry = 0; entry < count; entry++) {
    const index = keys.readUInt32LE(entry * map.keySize);
    let sum = 0;
    for (let cpu = 0; cpu < map.cpus; cpu++)
      sum += Number(values.readBigUInt64LE(entry * stride + cpu * WORD));
    sums[index] = sum;
  }
  return sums;
}

/** What was lost so far, by the reason's name in lower case; `map`: drop_counts. */
export function readDrops(map: BpfMap): Record<string, number> {
  const counts = readCounters(map);
  return Object.fromEntries(
    [...DROP_REASON_NAMES].map(([at, name]) => [name.toLowerCase(), counts[at] ?? 0]),
  );
}

/** One u64 of a per-CPU array, for each CPU. Exact up to 2^53. */
export function readCountersByCpu(map: BpfMap, index: number): number[] {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(index);
  const value = map.get(key) as Buffer;
  return Array.from({ length: map.cpus }, (_, cpu) => Number(value.readBigUInt64LE(cpu * WORD)));
}

export interface DurationTotals {
  buckets: number[];
  sumSeconds: number;
}

/** The duration histograms, by command. */
export function readDurations(map: BpfMap): DurationTotals[] {
  const { count, keys, values } = map.entries();
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const totals: DurationTotals[] = [];
  for (let entry = 0; entry < count; entry++) {
    const at = entry * DURATION_HISTOGRAM_SIZE * map.cpus;
    const perCpu = Array.from({ length: map.cpus }, (_, cpu) =>
      readDurationHistogram(view, at + cpu * DURATION_HISTOGRAM_SIZE),
    );
    totals[keys.readUInt32LE(entry * map.keySize)] = {
      buckets: (perCpu[0]?.buckets ?? []).map((_, bucket) =>
        perCpu.reduce((sum, histogram) => sum + Number(histogram.buckets[bucket]), 0),
      ),
      sumSeconds: perCpu.reduce((sum, { sumNs }) => sum + Number(sumNs), 0) / 1e9,
    };
  }
  return totals;
}
