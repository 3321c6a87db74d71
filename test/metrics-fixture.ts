import type { MetricsSource } from '../src/sinks/metrics-source.js';

/** A source with the label sets of bpf/event.h, cut short, and a value at each place that tells the place. */
export function metricsFixture(overrides: Partial<MetricsSource> = {}): MetricsSource {
  const labels = {
    commands: ['LOOP_SET_FD', 'LOOP_CONFIGURE'],
    results: ['ok', 'EBUSY', 'other'],
    deviceStates: ['unbound', 'bound'],
    ownerClasses: ['initial', 'userns', 'unknown'],
    subsystems: ['other', 'block', 'bdi'],
    actions: ['other', 'add', 'remove', 'change'],
    verdicts: ['deliver', 'hide'],
    rules: ['not_loop', 'holder'],
    ruleVerdicts: ['deliver', 'hide'],
    eventKinds: ['ioctl', 'uevent', 'receiver'],
    dropReasons: ['ring_full', 'inflight_full', 'owner_map_full', 'userns_map_full'],
    hooks: [
      { hook: 'ioctl', link: 'tp_btf' },
      { hook: 'ioctl', link: 'fexit' },
      { hook: 'uevent_delivery', link: 'socket_filter' },
    ],
    receiverClasses: ['filtered', 'allowed', 'foreign_filter', 'unfiltered'],
    hostReceiverKinds: ['udevd', 'allowed', 'other'],
    hostAccesses: ['ioctl', 'uevent'],
    reapResults: ['detached', 'removed', 'busy', 'gone', 'failed'],
    tables: ['owners', 'user_namespaces'],
    filterModes: ['off', 'observe', 'hide'],
    loopfsStates: ['bound', 'unbound'],
    refusalLimits: ['total', 'instance'],
    outputs: ['otlp'],
    outputResults: ['sent', 'rejected'],
  };
  return {
    labels,
    build: { version: '0.1.0', revision: 'abc' },
    ioctls: () => [0, 1, 2, 3, 4, 5],
    ioctlDurations: () => [
      { buckets: [1, 2, 0, 0, 0, 0, 0, 3], sumSeconds: 42.5 },
      { buckets: [0, 0, 0, 0, 0, 0, 0, 0], sumSeconds: 0 },
    ],
    devices: () => [1, 2, 3, 4, 5, 6],
    deviceInfo: function* () {
      for (let n = 0; n < 1000; n++) {
        yield {
          device: `loop${n}`,
          diskseq: String(n),
          userns: '3',
          containerId: 'a"b\\c\nd',
          runtime: 'crun',
        };
      }
    },
    uevents: () => Array.from({ length: 24 }, (_, index) => index),
    deliveries: () => [10, 0, 0, 20],
    events: () => [1, 2, 3],
    drops: () => [0, 0, 0, 0],
    hooksAttached: () => [1, 0, 1],
    ringBytes: () => ({ available: 128, size: 2_097_152 }),
    hookRanks: () => [
      { hook: 'ioctl', rank: 1 },
      { hook: 'uevent_delivery', rank: undefined },
    ],
    receivers: () => [2, 0, 0, 0],
    hostReceivers: () => [1, 0, 1],
    hostAccesses: () => [4, 5],
    orphans: () => 1,
    reaps: () => ({ counts: [3, 2, 1, 0, 0], stuck: 1 }),
    hiddenNodes: () => 4,
    leaks: () => 2,
    tableEntries: () => [
      { used: 3, size: 16_384 },
      { used: 5, size: 16_384 },
    ],
    programRuns: () => [
      { program: 'ioctl_enter', runs: 5, seconds: 0.25, missed: 0 },
      { program: 'uevent_filter', runs: 6, seconds: 0, missed: 2 },
    ],
    records: () => ({ produced: 7, delivered: 6, aggregated: 0, unaccounted: 1 }),
    auditLines: () => ({ written: 9, lost: 0 }),
    outputLines: () => [5, 1],
    loopfs: async () => ({
      instances: 3,
      devices: { bound: 4, unbound: 1 },
      refusals: { total: 0, instance: 2 },
      deviceLimit: 4096,
      numbersLeft: 1_044_480,
    }),
    filterMode: () => 'hide',
    isReady: () => true,
    startTimeSeconds: 1_764_000_000,
    gapRecords: () => 0,
    ...overrides,
  };
}
