/** The last half hour of a few counters, so that the live page's charts do not begin when it is opened. */
import type { MetricsSource } from './metrics-source.js';

/** Counters as they were; a reader makes rates of two, and a gap where they are too far apart or have begun anew. */
export interface RateSample {
  /** Grows by 1 with each sample. */
  n: number;
  timeMs: number;
  /** Loop ioctls that returned, by whether they failed. */
  ok: number;
  failed: number;
  /** Deliveries of loop devices' uevents to filtered receivers. */
  hidden: number;
  delivered: number;
  /** Events that reached the agent, and what was lost before. */
  events: number;
  drops: number;
}

export interface RateHistory {
  take(): void;
  /** Those after the sample `n`, oldest first. */
  after(n: number): readonly RateSample[];
}

type Source = Pick<MetricsSource, 'labels' | 'ioctls' | 'deliveries' | 'events' | 'drops'>;

export function createRateHistory(
  source: Source,
  capacity: number,
  now: () => number = Date.now,
): RateHistory {
  const samples: RateSample[] = [];
  let n = 0;
  return {
    take() {
      samples.push(sampleOf(source, ++n, now()));
      if (samples.length > capacity) samples.shift();
    },
    after: (seen) => samples.filter((sample) => sample.n > seen),
  };
}

function sampleOf(source: Source, n: number, timeMs: number): RateSample {
  const { results, verdicts, rules } = source.labels;
  const calls = source.ioctls();
  const all = sum(calls);
  let ok = 0;
  for (let at = results.indexOf('ok'); at < calls.length; at += results.length) ok += calls[at] ?? 0;
  const deliveries = source.deliveries();
  const ofVerdict = (verdict: string): number => {
    const from = verdicts.indexOf(verdict) * rules.length;
    // What is about no loop device is not of interest here, and would be nearly everything.
    return rules.reduce(
      (total, rule, at) => total + (rule === 'not_loop' ? 0 : (deliveries[from + at] ?? 0)),
      0,
    );
  };
  return {
    n,
    timeMs,
    ok,
    failed: all - ok,
    hidden: ofVerdict('hide'),
    delivered: ofVerdict('deliver'),
    events: sum(source.events()),
    drops: sum(source.drops()),
  };
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let at = 0; at < values.length; at++) total += values[at] ?? 0;
  return total;
}
