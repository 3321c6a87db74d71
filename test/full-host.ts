/** What the agent of a busy host answers to a scrape: with the real label sets, and as many series as any kernel gives. */

import { HOOKS, type HookLink } from '../src/kernel/hooks.js';
import { LISTENER_PROGRAM } from '../src/kernel/listener.js';
import { labelsOf } from '../src/sinks/kernel-labels.js';
import { createMetrics } from '../src/sinks/metrics.js';
import type { MetricsSource } from '../src/sinks/metrics-source.js';
import { metricsFixture } from './metrics-fixture.js';

/** The budget that the docs promise, with this many devices. */
export const SERIES_BUDGET = 500;
export const DEVICES = 100;
export const CONTAINERS = 50;

export function fullHost(more: Partial<MetricsSource> = {}): MetricsSource {
  return metricsFixture({
    labels: labelsOf([]),
    // As the config has it by default.
    reaps: () => undefined,
    deviceInfo: function* () {
      for (let n = 0; n < DEVICES; n++) {
        const container = n % CONTAINERS;
        yield {
          device: `loop${n}`,
          diskseq: String(n + 1),
          userns: String(4_026_532_000 + container),
          containerId: container.toString(16).padStart(64, '0'),
          runtime: 'containerd',
        };
      }
    },
    hookRanks: () => HOOKS.map(({ name }) => ({ hook: name, rank: 0 })),
    // Their runs are counted only where somebody has the kernel do so.
    programRuns: () => mostPrograms().map((program) => ({ program, runs: 0, seconds: 0, missed: 0 })),
    ...more,
  });
}

export async function scrapeFullHost(): Promise<string> {
  return createMetrics(fullHost(), { deviceInfo: true, deviceInfoLimit: 256 }).renderMetrics();
}

/** Family name → series. */
export function countSeries(exposition: string): Map<string, number> {
  const counts = new Map<string, number>();
  let family = '';
  for (const line of exposition.split('\n')) {
    const [, named] = /^# TYPE (\S+)/.exec(line) ?? [];
    if (named !== undefined) family = named;
    if (line !== '' && !line.startsWith('#')) counts.set(family, (counts.get(family) ?? 0) + 1);
  }
  return counts;
}

/** Of each hook's links the one with the most. */
function mostPrograms(): string[] {
  const names = HOOKS.flatMap(
    ({ links }) =>
      links.reduce((most: HookLink | undefined, link) =>
        most !== undefined && most.programs.length >= link.programs.length ? most : link,
      )?.programs ?? [],
  );
  return [...new Set([...names, LISTENER_PROGRAM])];
}
