/** The metrics' source: the kernel's per-CPU counters, the devices, the receivers, as they are at the scrape. */
import type { Inventory } from '../devices/inventory.js';
import { isOwned, OWNER_CLASSES } from '../devices/owners.js';
import type { DeviceView } from '../devices/view.js';
import type { RecordTotals } from '../events/accounts.js';
import type { IsContainerGone } from '../identity/container-presence.js';
import { IOCTL_RESULT_NAMES, VERDICT_NAMES } from '../kernel/abi.js';
import { readCounters, readDurations } from '../kernel/counters.js';
import { type HookName, type HookOutcome, hookLinkPairs, hookRanks } from '../kernel/hooks.js';
import type { BpfMap, ProgramStats } from '../kernel/native.js';
import { RECEIVER_CLASSES } from '../kernel/receiver-class.js';
import { HOST_RECEIVER_KINDS, hostReceiverKind, type Receiver } from '../kernel/receivers.js';
import { REAP_RESULTS, type ReapCounts } from '../policy/reap-modes.js';
import { OUTPUT_RESULTS, type OutputCounts, type OutputName } from './audit-output.js';
import { HOST_ACCESSES, type HostAccesses } from './host-accesses.js';
import { ACTIONS, COMMANDS, DEVICE_STATES, labelsOf, TABLES } from './kernel-labels.js';
import { foldCounts } from './label-fold.js';
import type { DeviceInfo, DurationCounts, LoopfsCounts, MetricsSource } from './metrics-source.js';

export interface KernelMetricsOptions {
  /** What the programs count in. */
  programs: { map(name: string): BpfMap };
  /** Of what is attached, by name: a gate has that of the program that it passes calls on to. */
  programRuns: () => ReadonlyMap<string, ProgramStats>;
  inventory: Inventory;
  outcomes: () => ReadonlyMap<HookName, readonly HookOutcome[]>;
  receivers: () => readonly Receiver[];
  /** The host's, by its inum. */
  networkNamespace: number;
  ringBytes: () => { available: number; size: number };
  auditLines: () => { written: number; lost: number };
  /** Those that are configured. */
  outputs: readonly OutputName[];
  outputCounts: () => Record<OutputName, OutputCounts>;
  records: () => RecordTotals;
  filterMode: () => string;
  loopfs: () => Promise<LoopfsCounts | undefined>;
  hostAccesses: HostAccesses;
  /** Undefined: nothing is reaped. */
  reaps: () => { counts: ReapCounts; stuck: number } | undefined;
  hiddenNodes: () => number;
  isContainerGone: IsContainerGone;
  isReady: () => boolean;
  startTimeSeconds: number;
  gapRecords: () => number;
  build: { version: string; revision: string };
}

export function createKernelMetrics(options: KernelMetricsOptions): MetricsSource {
  const { programs, inventory } = options;
  const counters = (map: string) => (): Float64Array => readCounters(programs.map(map));
  // One walk over sysfs, and one reading of the programs, serve the three families of a scrape.
  const devices = rememberBriefly(() => inventory.devices());
  const durations = (): DurationCounts[] => foldDurations(readDurations(programs.map('ioctl_durations')));
  return {
    labels: labelsOf(options.outputs),
    build: options.build,
    ioctls: () => foldCounts(readCounters(programs.map('ioctl_counts')), COMMANDS, IOCTL_RESULT_NAMES.size),
    ioctlDurations: durations,
    devices: () => countDevices(devices()),
    deviceInfo: (limit) => devices().filter(isInformative).slice(0, limit).map(infoOf),
    uevents: () => foldCounts(readCounters(programs.map('uevent_counts')), ACTIONS, VERDICT_NAMES.size),
    deliveries: counters('delivery_counts'),
    // Kinds are numbered from 1.
    events: () => readCounters(programs.map('event_counts')).subarray(1),
    drops: counters('drop_counts'),
    hooksAttached: () =>
      hookLinkPairs().map(({ hook, link }) => Number(isAttached(options.outcomes(), hook, link))),
    hookRanks: () => hookRanks(options.outcomes()),
    ringBytes: options.ringBytes,
    receivers: () => {
      const list = options.receivers();
      return RECEIVER_CLASSES.map((each) => list.filter((receiver) => receiver.class === each).length);
    },
    hostReceivers: () => {
      const { networkNamespace } = options;
      const kinds = options.receivers().map((receiver) => hostReceiverKind(receiver, networkNamespace));
      return HOST_RECEIVER_KINDS.map((each) => kinds.filter((kind) => kind === each).length);
    },
    hostAccesses() {
      const counts = options.hostAccesses.counts();
      return HOST_ACCESSES.map((each) => counts[each]);
    },
    reaps() {
      const reaps = options.reaps();
      return reaps && { ...reaps, counts: REAP_RESULTS.map((each) => reaps.counts[each]) };
    },
    hiddenNodes: options.hiddenNodes,
    orphans: () => devices().filter(({ orphan }) => orphan).length,
    leaks: () =>
      devices().filter(
        ({ state, container }) => state === 'bound' && container && options.isContainerGone(container),
      ).length,
    tableEntries: () =>
      Object.values(TABLES).map((name) => {
        const map = programs.map(name);
        return { used: map.entries().count, size: map.maxEntries };
      }),
    programRuns: rememberBriefly(() =>
      Array.from(options.programRuns(), ([program, { runs, runNs, missed }]) => ({
        program,
        runs: Number(runs),
        seconds: Number(runNs) / 1e9,
        missed: Number(missed),
      })),
    ),
    auditLines: options.auditLines,
    outputLines() {
      const counts = options.outputCounts();
      return options.outputs.flatMap((name) => OUTPUT_RESULTS.map((result) => counts[name][result]));
    },
    records: options.records,
    filterMode: options.filterMode,
    loopfs: options.loopfs,
    isReady: options.isReady,
    startTimeSeconds: options.startTimeSeconds,
    gapRecords: options.gapRecords,
  };
}

function isAttached(
  outcomes: ReadonlyMap<HookName, readonly HookOutcome[]>,
  hook: HookName,
  link: string,
): boolean {
  return (
    outcomes.get(hook)?.some((outcome) => outcome.link === link && outcome.state === 'attached') === true
  );
}

/** Unbound devices of nobody are only noise. */
function isInformative({ state, owner }: DeviceView): boolean {
  return state === 'bound' || isOwned(owner.class);
}

/** A runtime's own ids are half as long; what a container chose does not make a label longer. */
const MAX_CONTAINER_ID = 128;

function infoOf({ name, diskseq, owner, container }: DeviceView): DeviceInfo {
  return {
    device: name,
    diskseq: String(diskseq),
    userns: owner.userns ? String(owner.userns.inum) : owner.class,
    containerId: container?.id.slice(0, MAX_CONTAINER_ID) ?? '',
    runtime: container?.runtime ?? '',
  };
}

function foldDurations(durations: readonly DurationCounts[]): DurationCounts[] {
  const folded: { buckets: number[]; sumSeconds: number }[] = COMMANDS.labels.map(() => ({
    buckets: [],
    sumSeconds: 0,
  }));
  durations.forEach(({ buckets, sumSeconds }, command) => {
    const sum = folded[COMMANDS.places[command] ?? 0];
    if (sum === undefined) return;
    sum.buckets = Array.from(buckets, (count, bucket) => count + (sum.buckets[bucket] ?? 0));
    sum.sumSeconds += sumSeconds;
  });
  return folded;
}

function countDevices(devices: readonly DeviceView[]): number[] {
  return DEVICE_STATES.flatMap((state) =>
    OWNER_CLASSES.map(
      (kind) => devices.filter((device) => device.state === state && device.owner.class === kind).length,
    ),
  );
}

const BRIEF_MS = 200;

function rememberBriefly<T>(read: () => T): () => T {
  let value: T | undefined;
  let readAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (value === undefined || performance.now() - readAtMs > BRIEF_MS) {
      value = read();
      readAtMs = performance.now();
    }
    return value;
  };
}
