/** All metrics of loopwarden, under the names of the contract. */
import { Registry } from 'prom-client';
import { addAgent } from './families/agent.js';
import { addDevices } from './families/devices.js';
import { addIoctls } from './families/ioctls.js';
import { addLoopfs } from './families/loopfs.js';
import { addPrograms } from './families/programs.js';
import { addRecords } from './families/records.js';
import { addUevents } from './families/uevents.js';
import type { MetricsSource } from './metrics-source.js';

export interface MetricsOptions {
  /** Whether loop_device_info exists at all. */
  deviceInfo: boolean;
  /** Most series of it. */
  deviceInfoLimit: number;
}

export interface Metrics {
  contentType: string;
  /** The text of one scrape. Rejects when the source cannot be read. */
  renderMetrics(): Promise<string>;
}

export function createMetrics(source: MetricsSource, options: MetricsOptions): Metrics {
  const registry = new Registry();
  let lastScrapeSeconds = 0;
  addIoctls(registry, source);
  addDevices(registry, source, options);
  addUevents(registry, source);
  addRecords(registry, source);
  addPrograms(registry, source);
  addLoopfs(registry, source);
  addAgent(registry, source, () => lastScrapeSeconds);
  return {
    contentType: registry.contentType,
    async renderMetrics() {
      const startMs = performance.now();
      const text = await registry.metrics();
      lastScrapeSeconds = (performance.now() - startMs) / 1000;
      return text;
    },
  };
}
