/** The loop ioctls, and how long they took. */
import type { Registry } from 'prom-client';
import { labelProduct, registerAbsolute } from '../absolute-metric.js';
import { durationSamples } from '../duration-histogram.js';
import type { MetricsSource } from '../metrics-source.js';
import { addCounter } from './family.js';

export function addIoctls(registry: Registry, source: MetricsSource): void {
  const { commands: command, results: result } = source.labels;
  const calls = labelProduct({ command, result });
  addCounter(registry, 'loop_ioctls_total', 'Loop ioctls that returned, by command and result.', calls, () =>
    source.ioctls(),
  );
  const name = 'loopwarden_loop_ioctl_duration_seconds';
  const samples = durationSamples(name, labelProduct({ command }), () => source.ioctlDurations());
  const help = 'Time that loop ioctls took in the kernel.';
  registerAbsolute(registry, { name, help, type: 'histogram', samples });
}
