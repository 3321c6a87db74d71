/** Samples of counters → rates, with a gap wherever two samples do not belong together. */
import type { RateRow } from '../page-views.js';

export interface Rates {
  times: number[];
  ok: (number | null)[];
  failed: (number | null)[];
  hidden: (number | null)[];
  delivered: (number | null)[];
  events: (number | null)[];
}

export interface RateLog {
  add(rows: readonly RateRow[]): void;
  /** The number of the newest sample; 0 before the first. */
  newest(): number;
  /** Another agent: its counters and numbers begin anew. */
  restart(): void;
  rates(): Rates;
}

const COUNTERS = ['ok', 'failed', 'hidden', 'delivered', 'events'] as const;
const MOST = 720;

/** `sampleMs`: what is further apart than two and a half of them is a gap. */
export function createRateLog(sampleMs: number): RateLog {
  let samples: (RateRow | null)[] = [];
  let newest = 0;
  return {
    add(rows) {
      samples.push(...rows);
      newest = rows.at(-1)?.n ?? newest;
      if (samples.length > MOST) samples = samples.slice(-MOST);
    },
    newest: () => newest,
    restart() {
      newest = 0;
      samples.push(null);
    },
    rates() {
      const rates: Rates = { times: [], ok: [], failed: [], hidden: [], delivered: [], events: [] };
      let before: RateRow | null = null;
      for (const sample of samples) {
        if (sample && before) addRate(rates, before, sample, sampleMs);
        before = sample;
      }
      return rates;
    },
  };
}

function addRate(rates: Rates, before: RateRow, sample: RateRow, sampleMs: number): void {
  const apartMs = sample.timeMs - before.timeMs;
  if (apartMs <= 0) return;
  const isGap = apartMs > sampleMs * 2.5 || COUNTERS.some((name) => sample[name] < before[name]);
  rates.times.push(sample.timeMs / 1000);
  for (const name of COUNTERS)
    rates[name].push(isGap ? null : ((sample[name] - before[name]) * 1000) / apartMs);
}
