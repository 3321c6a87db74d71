/** How long one scrape of 10 000 series takes: the median of many, after a warm-up. */
import { createMetrics } from '../src/sinks/metrics.js';
import { metricsFixture } from '../test/metrics-fixture.js';

const SERIES = 10_000;
const BUDGET_MS = 50;

const source = metricsFixture({
  deviceInfo: function* (limit) {
    for (let n = 0; n < limit; n++) {
      yield {
        device: `loop${n}`,
        diskseq: String(n),
        userns: String(4_026_531_837 + n),
        containerId: `c${n}`,
        runtime: 'crun',
      };
    }
  },
});
const { renderMetrics } = createMetrics(source, { deviceInfo: true, deviceInfoLimit: SERIES });

const timesMs: number[] = [];
for (let run = 0; run < 50; run++) {
  const startMs = performance.now();
  await renderMetrics();
  timesMs.push(performance.now() - startMs);
}
const sorted = timesMs.slice(10).sort((a, b) => a - b);
const medianMs = sorted[Math.floor(sorted.length / 2)] ?? 0;
console.log(
  `metrics: ${SERIES} series in ${medianMs.toFixed(1)} ms (first ${timesMs[0]?.toFixed(1)} ms, budget ${BUDGET_MS} ms)`,
);
