import { createMetrics } from '../../src/sinks/metrics.js';
import { metricsFixture } from '../metrics-fixture.js';

/** Names of all series that /metrics can have. */
export async function renderFixture(): Promise<Set<string>> {
  const { renderMetrics } = createMetrics(metricsFixture(), { deviceInfo: true, deviceInfoLimit: 1 });
  return new Set((await renderMetrics()).match(/^loopwarden_\w+/gm));
}

/** Metric names in the expressions that neither the agent nor a recording rule makes. */
export function unknownMetrics(exprs: string[], known: Set<string>, recorded: string[] = []): string[] {
  const names = exprs.flatMap((expr) => expr.match(/\bloopwarden[_:][\w:]+/g) ?? []);
  return names.filter((name) => !known.has(name) && !recorded.includes(name));
}
