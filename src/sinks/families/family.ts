/** How a family of metrics gets its name and its series. */
import type { Registry } from 'prom-client';
import { closedSeries, type Labels, registerAbsolute, type Sample } from '../absolute-metric.js';

export type Read = () => ArrayLike<number>;
export type FamilyType = 'counter' | 'gauge';

/** Of samples that are not known before the scrape. */
export function addFamily(
  registry: Registry,
  type: FamilyType,
  name: string,
  help: string,
  samples: () => Sample[] | Promise<Sample[]>,
): void {
  registerAbsolute(registry, { name: `loopwarden_${name}`, help, type, samples });
}

export function addCounter(
  registry: Registry,
  name: string,
  help: string,
  series: Labels[],
  read: Read,
): void {
  addFamily(registry, 'counter', name, help, closedSeries(series, read));
}

export function addGauge(registry: Registry, name: string, help: string, series: Labels[], read: Read): void {
  addFamily(registry, 'gauge', name, help, closedSeries(series, read));
}

/** Of one series without labels. */
export function addNumber(registry: Registry, name: string, help: string, read: () => number): void {
  addGauge(registry, name, help, [{}], () => [read()]);
}
