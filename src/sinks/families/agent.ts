/** The agent itself. */
import type { Registry } from 'prom-client';
import type { MetricsSource } from '../metrics-source.js';
import { addGauge, addNumber } from './family.js';

export function addAgent(registry: Registry, source: MetricsSource, lastScrapeSeconds: () => number): void {
  const { version, revision } = source.build;
  addGauge(registry, 'build_info', 'Always 1; says which build runs.', [{ version, revision }], () => [1]);
  const ready = '1 while the agent does what its config says, as /readyz answers.';
  addNumber(registry, 'ready', ready, () => Number(source.isReady()));
  const start = 'When the agent started, in seconds since 1970.';
  addNumber(registry, 'start_time_seconds', start, () => source.startTimeSeconds);
  const scrape = 'Time that the scrape before this one took.';
  addNumber(registry, 'scrape_duration_seconds', scrape, lastScrapeSeconds);
}
