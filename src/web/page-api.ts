/** What the live page reads: the agent's views, with what a page of one host has to show besides. Nothing changes anything. */
import { hostname, release } from 'node:os';
import type { Config } from '../config/schema.js';
import type { MetricsSource } from '../sinks/metrics-source.js';
import { createRateHistory, type RateSample } from '../sinks/rate-history.js';
import type { AgentStatus, DeviceReport } from './agent-api.js';
import type { ControlApi, HealthSource } from './control-api.js';
import type { EventLines } from './event-hub.js';
import type { DeviceRow, HookRow, RateRow, StatusView, WireInteger } from './page-views.js';

export interface PageApi {
  status(): Promise<StatusView>;
  devices(): Promise<unknown>;
  /** @throws ERR_NO_SUCH_DEVICE */
  device(name: string): Promise<unknown>;
  rates(after: number): readonly RateRow[];
  events: EventLines;
  close(): void;
}

export interface PageApiOptions {
  api: Pick<ControlApi, 'devices' | 'device'>;
  status: () => AgentStatus;
  source: MetricsSource;
  health: HealthSource;
  events: EventLines;
  limits: Config['loopfs'];
  /** What the page calls the host and its kernel, if not by the names of this one. */
  host?: { name: string; kernel: string };
}

const SAMPLE_MS = 5000;
/** Half an hour. */
const SAMPLES = 360;

/** Takes a sample of the counters every five seconds until it is closed. */
export function createPageApi(options: PageApiOptions): PageApi {
  const { api, status, source, health, events, limits } = options;
  const { host = { name: hostname(), kernel: release() } } = options;
  const history = createRateHistory(source, SAMPLES);
  history.take();
  const sampling = setInterval(() => history.take(), SAMPLE_MS).unref();
  return {
    devices: () => api.devices(),
    device: (name) => api.device(name),
    rates: (after) => history.after(after),
    events,
    close: () => clearInterval(sampling),
    async status() {
      const { version, revision, pid, startedAt, filterMode, hooks, receivers, drops, auditLines } = status();
      return {
        ...{ version, revision, pid, startedAt, filterMode, hooks, receivers, drops, auditLines },
        host: host.name,
        kernel: host.kernel,
        unready: health.unreadyReasons(),
        records: source.records(),
        ring: source.ringBytes(),
        deliveries: deliveriesOf(source),
        loopfs: (await source.loopfs()) ?? null,
        limits: { devices: limits.devices, perUserns: limits.devices_per_userns },
        sampleMs: SAMPLE_MS,
      };
    },
  };
}

function deliveriesOf({ labels, deliveries }: MetricsSource): StatusView['deliveries'] {
  const counts = deliveries();
  return labels.verdicts.flatMap((verdict, row) =>
    labels.rules.map((rule, at) => ({ verdict, rule, count: counts[row * labels.rules.length + at] ?? 0 })),
  );
}

/** As JSON has it. */
type Wire<T> = T extends bigint
  ? WireInteger
  : T extends readonly (infer Item)[]
    ? Wire<Item>[]
    : T extends object
      ? { [Key in keyof T]: Wire<T[Key]> }
      : T;

// The page's own types cannot import these: here the compiler says when they no longer fit.
type Fits<Given extends Wanted, Wanted> = [Given, Wanted];
export type PageViewsFit = [
  Fits<Wire<DeviceReport>, DeviceRow>,
  Fits<RateSample, RateRow>,
  Fits<AgentStatus['hooks'][number], HookRow>,
];
