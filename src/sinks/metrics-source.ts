/**
 * What the metrics need from the agent. All counters are absolute values since the programs were loaded,
 * read from the per-CPU maps at each scrape, so they are exact even when the ring overflows.
 *
 * Two-dimensional counts are flat: the value of (first, second) is at `first * seconds.length + second`, and
 * so on for a third; the orders are those of `labels`, which in turn are those of the enums in bpf/event.h.
 */

/** Upper bounds of the duration buckets in seconds; DURATION_BUCKETS of bpf/event.h, the last is +Inf. */
export const DURATION_BOUNDS_SECONDS = [10e-6, 100e-6, 1e-3, 10e-3, 100e-3, 1, 10, Number.POSITIVE_INFINITY];

/** The closed label sets. Each series exists from the first scrape on, at 0. */
export interface MetricsLabels {
  commands: readonly string[];
  results: readonly string[];
  deviceStates: readonly string[];
  ownerClasses: readonly string[];
  subsystems: readonly string[];
  actions: readonly string[];
  verdicts: readonly string[];
  rules: readonly string[];
  /** For each rule the verdict that it decides. */
  ruleVerdicts: readonly string[];
  eventKinds: readonly string[];
  dropReasons: readonly string[];
  hooks: readonly { hook: string; link: string }[];
  receiverClasses: readonly string[];
  hostReceiverKinds: readonly string[];
  hostAccesses: readonly string[];
  reapResults: readonly string[];
  tables: readonly string[];
  filterModes: readonly string[];
  /** Of containers' devices in loopfs. */
  loopfsStates: readonly string[];
  refusalLimits: readonly string[];
  /** Those that are configured. */
  outputs: readonly string[];
  outputResults: readonly string[];
}

export interface LoopfsCounts {
  instances: number;
  devices: Readonly<Record<string, number>>;
  refusals: Readonly<Record<string, number>>;
  /** Absent from a process that is older than the agent. */
  deviceLimit?: number | undefined;
  numbersLeft?: number | undefined;
}

export interface DurationCounts {
  /** Not cumulative; one for each of DURATION_BOUNDS_SECONDS. */
  buckets: ArrayLike<number>;
  sumSeconds: number;
}

export interface DeviceInfo {
  device: string;
  diskseq: string;
  userns: string;
  containerId: string;
  runtime: string;
}

export interface MetricsSource {
  readonly labels: MetricsLabels;
  readonly build: { version: string; revision: string };
  /** [command × result] */
  ioctls(): ArrayLike<number>;
  /** [command] */
  ioctlDurations(): ArrayLike<DurationCounts>;
  /** [state × owner class] */
  devices(): ArrayLike<number>;
  /** At most `limit` of them. */
  deviceInfo(limit: number): Iterable<DeviceInfo>;
  /** [subsystem × action × verdict] */
  uevents(): ArrayLike<number>;
  /** [verdict × rule] */
  deliveries(): ArrayLike<number>;
  /** [event kind] */
  events(): ArrayLike<number>;
  /** [drop reason] */
  drops(): ArrayLike<number>;
  /** 1 for the hook's attached link, else 0; order of `labels.hooks`. */
  hooksAttached(): ArrayLike<number>;
  ringBytes(): { available: number; size: number };
  /** By the order of its links: 0 is the best one, undefined: none is attached. */
  hookRanks(): readonly { hook: string; rank: number | undefined }[];
  /** [receiver class] */
  receivers(): ArrayLike<number>;
  /** [kind], of those in the initial user namespace. */
  hostReceivers(): ArrayLike<number>;
  /** [access] */
  hostAccesses(): ArrayLike<number>;
  orphans(): number;
  /** `counts`: [result]. Undefined while nothing is reaped (reap.mode). */
  reaps(): { counts: ArrayLike<number>; stuck: number } | undefined;
  /** Nodes that are out of the host's /dev. */
  hiddenNodes(): number;
  /** Devices with a backing file whose container is gone. */
  leaks(): number;
  /** In the order of `labels.tables`. */
  tableEntries(): readonly { used: number; size: number }[];
  /** Of the programs that are attached. */
  programRuns(): readonly { program: string; runs: number; seconds: number; missed: number }[];
  /** Of the ring of events, over all CPUs. */
  records(): { produced: number; delivered: number; aggregated: number; unaccounted: number };
  auditLines(): { written: number; lost: number };
  /** [output × result] */
  outputLines(): ArrayLike<number>;
  /** Undefined while the process of loopfs does not answer. */
  loopfs(): Promise<LoopfsCounts | undefined>;
  /** One of `labels.filterModes`. */
  filterMode(): string;
  /** Whether it does what the config says: what /readyz answers. */
  isReady(): boolean;
  /** Of the agent; seconds since 1970. */
  startTimeSeconds: number;
  /** Records that an earlier agent of another version left, and this one could not read. */
  gapRecords(): number;
}
