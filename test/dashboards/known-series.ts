/** What there is to ask for: the series of a real scrape, and those that the recording rules make of them. */
import { OUTPUT_NAMES } from '../../src/sinks/audit-output.js';
import { labelsOf } from '../../src/sinks/kernel-labels.js';
import { createMetrics } from '../../src/sinks/metrics.js';
import { fullHost } from '../full-host.js';
import { parseQuery } from './promql.js';
import { recordings } from './rule-file.js';

/** Metric → label → its values; undefined: any. */
export type KnownSeries = Map<string, Map<string, Set<string> | undefined>>;

/** Prometheus adds them. */
const TARGET_LABELS = ['job', 'instance'];
/** What it makes itself, with the labels that these have besides. */
const BY_PROMETHEUS = {
  up: [],
  scrape_samples_scraped: [],
  ALERTS: ['alertname', 'alertstate', 'severity'],
};
/** Of labels that are no closed sets. */
const OPEN_LABELS = new Set([
  'device',
  'diskseq',
  'userns',
  'container_id',
  'runtime',
  'version',
  'revision',
  'le',
]);

export async function readKnownSeries(): Promise<KnownSeries> {
  const known: KnownSeries = new Map(
    Object.entries(BY_PROMETHEUS).map(([name, more]) => [name, targetLabels(more)]),
  );
  for (const line of (await scrapeEverything()).split('\n')) {
    const [, metric, inside = ''] = /^([a-z]\w*)(?:\{(.*)\})? /.exec(line) ?? [];
    if (metric !== undefined) note(known, metric, inside);
  }
  for (const { record, expr } of recordings()) known.set(record, recordedLabels(record, expr, known));
  return known;
}

/** With every output, and every family that only some hosts have. */
function scrapeEverything(): Promise<string> {
  const host = fullHost({
    labels: labelsOf(OUTPUT_NAMES),
    reaps: () => ({ counts: [], stuck: 0 }),
    programRuns: () => [{ program: 'lo_ioctl_fentry', runs: 1, seconds: 1, missed: 0 }],
  });
  return createMetrics(host, { deviceInfo: true, deviceInfoLimit: 1 }).renderMetrics();
}

function targetLabels(more: readonly string[] = []): Map<string, undefined> {
  return new Map([...TARGET_LABELS, ...more].map((label) => [label, undefined]));
}

function note(known: KnownSeries, metric: string, inside: string): void {
  const labels: Map<string, Set<string> | undefined> = known.get(metric) ?? targetLabels();
  known.set(metric, labels);
  for (const [, label = '', value = ''] of inside.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
    const isOpen = OPEN_LABELS.has(label) || label === 'program';
    labels.set(label, isOpen ? undefined : new Set([...(labels.get(label) ?? []), value]));
  }
}

/** It has the labels that its expression groups by; le only if it is of buckets. */
function recordedLabels(
  record: string,
  expr: string,
  known: KnownSeries,
): Map<string, Set<string> | undefined> {
  const { selectors, groupings } = parseQuery(expr);
  const kept = groupings.filter((label) => label !== 'le' || record.includes('_bucket'));
  const valuesOf = (label: string) =>
    selectors.map(({ metric }) => known.get(metric)?.get(label)).find((values) => values !== undefined);
  return new Map(kept.map((label) => [label, valuesOf(label)]));
}

/** In words: what the expression asks for that does not exist. */
export function problemsOf(expr: string, known: KnownSeries): string[] {
  const { selectors, groupings } = parseQuery(expr);
  const unknown = groupings.filter((label) => !selectors.some(({ metric }) => known.get(metric)?.has(label)));
  return [
    ...unknown.map((label) => `no metric here has the label ${label}: ${expr}`),
    ...selectors.flatMap(({ metric, matchers }) => {
      const labels = known.get(metric);
      if (labels === undefined) return [`there is no metric ${metric}: ${expr}`];
      return matchers.flatMap(({ label, value }) => {
        if (!labels.has(label)) return [`${metric} has no label ${label}`];
        const values = labels.get(label);
        const missing = value.split('|').filter((each) => values !== undefined && !values.has(each));
        return missing.map((each) => `${metric} has no ${label}="${each}"`);
      });
    }),
  ];
}

/** Every label that the result of the expression can have. */
export function labelsOfQuery(expr: string, known: KnownSeries): Set<string> {
  return new Set(parseQuery(expr).selectors.flatMap(({ metric }) => [...(known.get(metric)?.keys() ?? [])]));
}
