/** All metrics of loopwarden, under the names of the contract. */
import { Registry } from 'prom-client';
import { closedSeries, type Labels, labelProduct, registerAbsolute, type Sample } from './absolute-metric.js';
import { durationSamples } from './duration-histogram.js';
import type { LoopfsCounts, MetricsSource } from './metrics-source.js';

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
  addEvents(registry, source);
  addPrograms(registry, source);
  addLoopfs(registry, source);
  addSelf(registry, source, () => lastScrapeSeconds);
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

type Read = () => ArrayLike<number>;

function add(
  registry: Registry,
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  samples: () => Sample[] | Promise<Sample[]>,
) {
  registerAbsolute(registry, { name: `loopwarden_${name}`, help, type, samples });
}

function counter(registry: Registry, name: string, help: string, series: Labels[], read: Read): void {
  add(registry, 'counter', name, help, closedSeries(series, read));
}

function gauge(registry: Registry, name: string, help: string, series: Labels[], read: Read): void {
  add(registry, 'gauge', name, help, closedSeries(series, read));
}

function addIoctls(registry: Registry, source: MetricsSource): void {
  const { commands: command, results: result } = source.labels;
  const calls = labelProduct({ command, result });
  counter(registry, 'loop_ioctls_total', 'Loop ioctls that returned, by command and result.', calls, () =>
    source.ioctls(),
  );
  const name = 'loopwarden_loop_ioctl_duration_seconds';
  const samples = durationSamples(name, labelProduct({ command }), () => source.ioctlDurations());
  registerAbsolute(registry, {
    name,
    help: 'Time that loop ioctls took in the kernel.',
    type: 'histogram',
    samples,
  });
}

function addDevices(registry: Registry, source: MetricsSource, options: MetricsOptions): void {
  const { deviceStates: state, ownerClasses: owner_class } = source.labels;
  const devices = labelProduct({ state, owner_class });
  gauge(registry, 'loop_devices', 'Loop devices that exist, by state and kind of owner.', devices, () =>
    source.devices(),
  );
  gauge(registry, 'orphans', 'Loop devices whose owning user namespace is gone.', [{}], () => [
    source.orphans(),
  ]);
  if (!options.deviceInfo) return;
  add(
    registry,
    'gauge',
    'loop_device_info',
    'Always 1; says who owns a device. At most metrics.device_info_limit.',
    () => deviceInfoSamples(source, options.deviceInfoLimit),
  );
}

function deviceInfoSamples(source: MetricsSource, limit: number): Sample[] {
  const samples: Sample[] = [];
  if (limit === 0) return samples;
  for (const { device, diskseq, userns, containerId, runtime } of source.deviceInfo(limit)) {
    samples.push({ labels: { device, diskseq, userns, container_id: containerId, runtime }, value: 1 });
    if (samples.length === limit) break;
  }
  return samples;
}

function addUevents(registry: Registry, source: MetricsSource): void {
  const { subsystems: subsystem, actions: action, verdicts: verdict, rules: rule } = source.labels;
  const emitted = labelProduct({ subsystem, action, verdict });
  counter(
    registry,
    'uevents_total',
    'Uevents about loop devices, by the verdict for the host.',
    emitted,
    () => source.uevents(),
  );
  const deliveries = labelProduct({ verdict, rule });
  const help = 'Deliveries of uevents to filtered receivers, by verdict and the rule that decided.';
  counter(registry, 'uevent_deliveries_total', help, deliveries, () => source.deliveries());
  const classes = labelProduct({ class: source.labels.receiverClasses });
  gauge(registry, 'receivers', 'Uevent sockets of the host, by whether the filter is on them.', classes, () =>
    source.receivers(),
  );
  const modes = source.labels.filterModes;
  gauge(
    registry,
    'filter_mode',
    '1 for the mode that the uevent filter is in.',
    labelProduct({ mode: modes }),
    () => {
      const mode = source.filterMode();
      return modes.map((name) => (name === mode ? 1 : 0));
    },
  );
}

function addEvents(registry: Registry, source: MetricsSource): void {
  const { eventKinds: kind, dropReasons: reason } = source.labels;
  counter(registry, 'events_total', 'Events that reached the agent.', labelProduct({ kind }), () =>
    source.events(),
  );
  counter(
    registry,
    'drops_total',
    'Events and owners that were lost in the kernel.',
    labelProduct({ reason }),
    () => source.drops(),
  );
  gauge(registry, 'ring_bytes', 'Ring buffer: bytes waiting to be read, and its size.', RING_STATES, () => {
    const { available, size } = source.ringBytes();
    return [available, size];
  });
  addRecords(registry, source);
  counter(
    registry,
    'audit_lines_total',
    'Lines of the audit log.',
    labelProduct({ result: LINE_RESULTS }),
    () => {
      const { written, lost } = source.auditLines();
      return [written, lost];
    },
  );
  const { outputs: output, outputResults: result } = source.labels;
  counter(
    registry,
    'audit_output_lines_total',
    'Lines of the audit log for receivers besides its file, by what became of them.',
    labelProduct({ output, result }),
    () => source.outputLines(),
  );
}

/** One reading of the accounts serves both families of a scrape. */
function addRecords(registry: Registry, source: MetricsSource): void {
  let totals = { produced: 0, delivered: 0, unaccounted: 0 };
  const help = 'Records for the ring: made by the programs, and read by agents. The rest are drops.';
  counter(registry, 'records_total', help, RECORD_STATES, () => {
    totals = source.records();
    return [totals.produced, totals.delivered];
  });
  const missing = 'Records that were made and neither read nor dropped: always 0, or something is wrong.';
  gauge(registry, 'records_unaccounted', missing, [{}], () => [totals.unaccounted]);
}

type ProgramRuns = ReturnType<MetricsSource['programRuns']>[number];

const RECORD_STATES: Labels[] = [{ state: 'produced' }, { state: 'delivered' }];
const RING_STATES: Labels[] = [{ state: 'available' }, { state: 'size' }];
const LINE_RESULTS = ['written', 'lost'];

function addPrograms(registry: Registry, source: MetricsSource): void {
  const hooks = source.labels.hooks.map(({ hook, link }) => ({ hook, link }));
  gauge(registry, 'hook_attached', '1 for the link that a hook is attached by.', hooks, () =>
    source.hooksAttached(),
  );
  const perProgram = (name: string, help: string, count: (runs: ProgramRuns) => number): void =>
    add(registry, 'counter', name, help, () =>
      source.programRuns().map((runs) => ({ labels: { program: runs.program }, value: count(runs) })),
    );
  perProgram('program_runs_total', 'Runs of each BPF program.', ({ runs }) => runs);
  const missed = 'Calls that a BPF program was not run for, since it was running on that CPU already.';
  perProgram('program_missed_total', missed, (each) => each.missed);
  const help = 'Time spent in each BPF program; 0 unless the kernel counts it (kernel.bpf_stats_enabled).';
  perProgram('program_run_seconds_total', help, ({ seconds }) => seconds);
}

/** Of another process: while it does not answer nothing is known, and 0 would be a counter that began anew. */
function addLoopfs(registry: Registry, source: MetricsSource): void {
  const { loopfsStates: state, refusalLimits: limit } = source.labels;
  const up = '1 while the process of loopfs answers; without it the others of loopfs are absent.';
  add(registry, 'gauge', 'loopfs_up', up, async () => [
    { value: (await source.loopfs()) === undefined ? 0 : 1 },
  ]);
  const addCounts = (
    type: 'counter' | 'gauge',
    name: string,
    help: string,
    series: Labels[],
    read: (counts: LoopfsCounts) => number[],
  ): void =>
    add(registry, type, name, help, async () => {
      const counts = await source.loopfs();
      return counts === undefined ? [] : closedSeries(series, () => read(counts))();
    });
  addCounts(
    'gauge',
    'loopfs_instances',
    "Instances of loopfs; the host's own is not counted.",
    [{}],
    (each) => [each.instances],
  );
  const devices = 'Loop devices in instances of loopfs, by state.';
  addCounts('gauge', 'loopfs_devices', devices, labelProduct({ state }), (each) =>
    state.map((name) => each.devices[name] ?? 0),
  );
  const refusals = 'Devices that a container was refused (ENOSPC), by the limit that it had come to.';
  addCounts('counter', 'loopfs_refusals_total', refusals, labelProduct({ limit }), (each) =>
    limit.map((name) => each.refusals[name] ?? 0),
  );
}

function addSelf(registry: Registry, { build }: MetricsSource, lastScrapeSeconds: () => number): void {
  const labels = { version: build.version, revision: build.revision };
  gauge(registry, 'build_info', 'Always 1; says which build runs.', [labels], () => [1]);
  gauge(registry, 'scrape_duration_seconds', 'Time that the scrape before this one took.', [{}], () => [
    lastScrapeSeconds(),
  ]);
}
