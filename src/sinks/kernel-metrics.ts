/** The metrics' source: the kernel's per-CPU counters, the devices, the receivers, as they are at the scrape. */
import type { Inventory } from '../devices/inventory.js';
import { OWNER_CLASSES } from '../devices/owners.js';
import type { DeviceView } from '../devices/view.js';
import type { RecordTotals } from '../events/accounts.js';
import {
  DROP_REASON_NAMES,
  EVENT_KIND_NAMES,
  IOCTL_RESULT_NAMES,
  LOOP_COMMAND_NAMES,
  RULE_NAMES,
  UEVENT_ACTION_NAMES,
  UEVENT_SUBSYSTEM_NAMES,
  VERDICT_NAMES,
} from '../kernel/abi.js';
import { readCounters, readDurations } from '../kernel/counters.js';
import { type HookName, type HookOutcome, hookLinkPairs } from '../kernel/hooks.js';
import type { ProgramStats } from '../kernel/native.js';
import type { LoadedPrograms } from '../kernel/programs.js';
import { RECEIVER_CLASSES, type Receiver } from '../kernel/receivers.js';
import { REFUSAL_LIMITS } from '../loopfs/quota.js';
import { OUTPUT_NAMES, OUTPUT_RESULTS, type OutputCounts, type OutputName } from './audit-output.js';
import type { DeviceInfo, LoopfsCounts, MetricsLabels, MetricsSource } from './metrics-source.js';

const DEVICE_STATES = ['bound', 'unbound'] as const;
const FILTER_MODES = ['off', 'observe', 'hide'];

export interface KernelMetricsOptions {
  programs: LoadedPrograms;
  /** Of what is attached, by name: a gate has that of the program that it passes calls on to. */
  programRuns: () => ReadonlyMap<string, ProgramStats>;
  inventory: Inventory;
  outcomes: () => ReadonlyMap<HookName, readonly HookOutcome[]>;
  receivers: () => readonly Receiver[];
  ringBytes: () => { available: number; size: number };
  auditLines: () => { written: number; lost: number };
  outputCounts: () => Record<OutputName, OutputCounts>;
  records: () => RecordTotals;
  filterMode: () => string;
  loopfs: () => Promise<LoopfsCounts | undefined>;
  build: { version: string; revision: string };
}

/** Numbers of the enum become label values in that order. */
const lowerNames = (names: ReadonlyMap<number, string>): string[] =>
  [...names.values()].map((name) => name.toLowerCase());

/** `ok` is no errno. */
const resultNames = [...IOCTL_RESULT_NAMES.values()].map((name) =>
  name === 'OK' || name === 'OTHER' ? name.toLowerCase() : name,
);

export function createKernelMetrics(options: KernelMetricsOptions): MetricsSource {
  const { programs, inventory } = options;
  const counters = (map: string) => (): Float64Array => readCounters(programs.map(map));
  // One walk over sysfs, and one reading of the programs, serve the three families of a scrape.
  const devices = rememberBriefly(() => inventory.devices());
  return {
    labels: labelsOf(),
    build: options.build,
    ioctls: counters('ioctl_counts'),
    ioctlDurations: () => readDurations(programs.map('ioctl_durations')),
    devices: () => countDevices(devices()),
    deviceInfo: (limit) => devices().filter(isInformative).slice(0, limit).map(infoOf),
    uevents: counters('uevent_counts'),
    deliveries: counters('delivery_counts'),
    // Kinds are numbered from 1.
    events: () => readCounters(programs.map('event_counts')).subarray(1),
    drops: counters('drop_counts'),
    hooksAttached: () =>
      hookLinkPairs().map(({ hook, link }) => Number(isAttached(options.outcomes(), hook, link))),
    ringBytes: options.ringBytes,
    receivers: () => {
      const list = options.receivers();
      return RECEIVER_CLASSES.map((each) => list.filter((receiver) => receiver.class === each).length);
    },
    orphans: () => devices().filter(({ orphan }) => orphan).length,
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
      return OUTPUT_NAMES.flatMap((name) => OUTPUT_RESULTS.map((result) => counts[name][result]));
    },
    records: options.records,
    filterMode: options.filterMode,
    loopfs: options.loopfs,
  };
}

function labelsOf(): MetricsLabels {
  return {
    commands: [...LOOP_COMMAND_NAMES.values()],
    results: resultNames,
    deviceStates: DEVICE_STATES,
    ownerClasses: OWNER_CLASSES,
    subsystems: lowerNames(UEVENT_SUBSYSTEM_NAMES),
    actions: lowerNames(UEVENT_ACTION_NAMES),
    verdicts: lowerNames(VERDICT_NAMES),
    rules: lowerNames(RULE_NAMES),
    eventKinds: lowerNames(EVENT_KIND_NAMES),
    dropReasons: lowerNames(DROP_REASON_NAMES),
    hooks: hookLinkPairs(),
    receiverClasses: RECEIVER_CLASSES,
    filterModes: FILTER_MODES,
    loopfsStates: DEVICE_STATES,
    refusalLimits: REFUSAL_LIMITS,
    outputs: OUTPUT_NAMES,
    outputResults: OUTPUT_RESULTS,
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
  return state === 'bound' || owner.class === 'userns';
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
