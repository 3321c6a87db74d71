import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Inventory } from '../../src/devices/inventory.js';
import type { DeviceView } from '../../src/devices/view.js';
import { DURATION_HISTOGRAM_SIZE, LOOP_COMMAND } from '../../src/kernel/abi.js';
import { HOOK_NAMES, type HookName, type HookOutcome } from '../../src/kernel/hooks.js';
import type { BpfMap } from '../../src/kernel/native.js';
import { loadNative } from '../../src/kernel/native.js';
import { loadPrograms } from '../../src/kernel/programs.js';
import type { ReceiverClass } from '../../src/kernel/receiver-class.js';
import type { Receiver } from '../../src/kernel/receivers.js';
import { noCounts } from '../../src/sinks/audit-output.js';
import { createHostAccesses } from '../../src/sinks/host-accesses.js';
import { ACTIONS, COMMANDS } from '../../src/sinks/kernel-labels.js';
import { createKernelMetrics, type KernelMetricsOptions } from '../../src/sinks/kernel-metrics.js';
import { createMetrics } from '../../src/sinks/metrics.js';
import { DURATION_BOUNDS_SECONDS } from '../../src/sinks/metrics-source.js';
import { WEB } from '../event-fixture.js';

/** Those that every kernel takes. */
const PROGRAMS = [
  'syscall_exit_tp_btf',
  'syscall_enter_tp_btf',
  'uevent_emission_socket',
  'uevent_delivery_socket',
];
const programs = loadPrograms(loadNative(), { programs: PROGRAMS, reuse: new Map(), sizes: {} });
after(() => programs.close());

function device(more: Partial<DeviceView>): DeviceView {
  return {
    name: 'loop3',
    devno: '7:3',
    diskseq: 9n,
    state: 'bound',
    sizeBytes: 0,
    logicalBlockBytes: 512,
    readOnly: false,
    partitions: [],
    on: [],
    backing: null,
    owner: { class: 'initial', as: 'holder', userns: null, pidns: null },
    orphan: false,
    attachedBy: null,
    attachedBootNs: null,
    container: null,
    ...more,
  };
}

const CONTAINERS: DeviceView['owner'] = {
  class: 'userns',
  as: 'holder',
  userns: { id: 77n, inum: 4_026_532_101, level: 1, ownerUid: 1000, alive: true },
  pidns: null,
};
const NOBODYS: DeviceView['owner'] = { class: 'unknown', as: null, userns: null, pidns: null };

function inventoryOf(devices: DeviceView[]): Inventory & { walks: number } {
  return {
    walks: 0,
    devices() {
      this.walks++;
      return devices;
    },
    disks: () => [],
    device: () => undefined,
    orphans: () => [],
    ownership: () => ({ owners: new Map(), userNamespaces: new Map(), living: new Set() }),
  };
}

function sourceWith(more: Partial<KernelMetricsOptions> = {}) {
  return createKernelMetrics({
    programs,
    programRuns: () => new Map(),
    inventory: inventoryOf([]),
    outcomes: () => new Map(),
    receivers: () => [],
    networkNamespace: 1,
    ringBytes: () => ({ available: 0, size: 0 }),
    records: () => ({ produced: 0, delivered: 0, aggregated: 0, unaccounted: 0 }),
    auditLines: () => ({ written: 0, lost: 0 }),
    outputs: ['otlp'],
    outputCounts: () => ({
      journald: noCounts(),
      syslog: noCounts(),
      otlp: { sent: 3, queue_full: 0, rejected: 1, abandoned: 0 },
    }),
    loopfs: async () => undefined,
    filterMode: () => 'hide',
    hostAccesses: createHostAccesses(),
    reaps: () => ({ counts: { detached: 3, removed: 2, busy: 1, gone: 0, failed: 0 }, stuck: 0 }),
    hiddenNodes: () => 4,
    isContainerGone: () => false,
    isReady: () => true,
    startTimeSeconds: 0,
    gapRecords: () => 0,
    build: { version: '0.1.0', revision: 'abc' },
    ...more,
  });
}

/** Puts a value into one entry of a per-CPU array, split over all CPUs. */
function putPerCpu(map: BpfMap, index: number, perCpu: (cpu: number) => Buffer): void {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(index);
  map.put(key, Buffer.concat(Array.from({ length: map.cpus }, (_, cpu) => perCpu(cpu))));
}

const word = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};

test('each map has just as many counters as its labels have combinations', () => {
  const { labels } = sourceWith();
  const commands = COMMANDS.places.length;
  const sizes = {
    ioctl_counts: commands * labels.results.length,
    ioctl_durations: commands,
    uevent_counts: labels.subsystems.length * ACTIONS.places.length * labels.verdicts.length,
    delivery_counts: labels.verdicts.length * labels.rules.length,
    // Kinds are numbered from 1.
    event_counts: labels.eventKinds.length + 1,
    drop_counts: labels.dropReasons.length,
  };
  for (const [name, size] of Object.entries(sizes)) assert.equal(programs.map(name).maxEntries, size, name);
});

test('label values are those of the contract', () => {
  const { labels } = sourceWith();
  assert.deepEqual(labels.results.slice(0, 2), ['ok', 'EPERM']);
  assert.equal(labels.results.at(-1), 'other');
  assert.ok(labels.commands.every((command) => command.startsWith('LOOP_')));
  assert.deepEqual(labels.verdicts, ['deliver', 'hide']);
  const lower = [labels.rules, labels.actions, labels.subsystems, labels.dropReasons, labels.eventKinds];
  for (const values of lower) for (const value of values) assert.match(value, /^[a-z_]+$/);
  for (const set of [labels.commands, labels.results, ...lower]) assert.equal(new Set(set).size, set.length);
});

test('counters are the sums over all CPUs, each at the place of its labels', () => {
  const map = programs.map('ioctl_counts');
  const source = sourceWith();
  const busy =
    source.labels.commands.indexOf('LOOP_CONFIGURE') * source.labels.results.length +
    source.labels.results.indexOf('EBUSY');
  const raw =
    LOOP_COMMAND.LOOP_CONFIGURE * source.labels.results.length + (busy % source.labels.results.length);
  putPerCpu(map, raw, (cpu) => word(BigInt(cpu + 1)));
  const counts = source.ioctls();
  const sum = (map.cpus * (map.cpus + 1)) / 2;
  assert.equal(counts[busy], sum);
  assert.equal(
    Array.from(counts).reduce((total, count) => total + count, 0),
    sum,
  );
  putPerCpu(map, raw, () => word(0n));
});

test('what the old struct’s commands count and take is that of the new one’s', () => {
  const source = sourceWith();
  const { commands, results } = source.labels;
  const map = programs.map('ioctl_counts');
  const pair = [LOOP_COMMAND.LOOP_GET_STATUS, LOOP_COMMAND.LOOP_GET_STATUS64];
  for (const command of pair) putPerCpu(map, command * results.length, (cpu) => word(cpu === 0 ? 3n : 0n));
  const histogram = Buffer.alloc(DURATION_HISTOGRAM_SIZE);
  histogram.writeBigUInt64LE(5n, 0);
  for (const command of pair)
    putPerCpu(programs.map('ioctl_durations'), command, (cpu) =>
      cpu === 0 ? histogram : Buffer.alloc(DURATION_HISTOGRAM_SIZE),
    );
  const at = commands.indexOf('LOOP_GET_STATUS64');
  assert.equal(commands.includes('LOOP_GET_STATUS'), false);
  assert.equal(source.ioctls()[at * results.length], 6);
  assert.equal(source.ioctlDurations()[at]?.buckets[0], 10);
  for (const command of pair) {
    putPerCpu(map, command * results.length, () => word(0n));
    putPerCpu(programs.map('ioctl_durations'), command, () => Buffer.alloc(DURATION_HISTOGRAM_SIZE));
  }
});

test('kinds of events begin at the first kind', () => {
  putPerCpu(programs.map('event_counts'), 1, (cpu) => word(cpu === 0 ? 5n : 0n));
  assert.deepEqual([...Array.from(sourceWith().events())], [5, 0, 0]);
  putPerCpu(programs.map('event_counts'), 1, () => word(0n));
});

test('durations are summed over all CPUs, bucket by bucket', () => {
  const map = programs.map('ioctl_durations');
  const source = sourceWith();
  const command = source.labels.commands.indexOf('LOOP_CLR_FD');
  putPerCpu(map, LOOP_COMMAND.LOOP_CLR_FD, () => {
    const histogram = Buffer.alloc(DURATION_HISTOGRAM_SIZE);
    histogram.writeBigUInt64LE(2n, 0);
    histogram.writeBigUInt64LE(1n, 7 * 8);
    histogram.writeBigUInt64LE(1_500_000_000n, 64);
    return histogram;
  });
  const durations = source.ioctlDurations();
  assert.deepEqual(durations[command], {
    buckets: [2 * map.cpus, 0, 0, 0, 0, 0, 0, map.cpus],
    sumSeconds: 1.5 * map.cpus,
  });
  assert.equal(durations.length, source.labels.commands.length);
  assert.equal(durations[command]?.buckets.length, DURATION_BOUNDS_SECONDS.length);
  putPerCpu(map, LOOP_COMMAND.LOOP_CLR_FD, () => Buffer.alloc(DURATION_HISTOGRAM_SIZE));
});

test('devices are counted by state and owner, orphans by themselves, with one walk over sysfs', () => {
  const inventory = inventoryOf([
    device({ owner: CONTAINERS }),
    device({ owner: CONTAINERS, orphan: true }),
    device({}),
    device({ state: 'unbound', owner: NOBODYS }),
  ]);
  const source = sourceWith({ inventory });
  const at = (state: string, owner: string): number =>
    source.labels.deviceStates.indexOf(state) * source.labels.ownerClasses.length +
    source.labels.ownerClasses.indexOf(owner);
  const counts = source.devices();
  assert.deepEqual(
    [counts[at('bound', 'userns')], counts[at('bound', 'initial')], counts[at('unbound', 'unknown')]],
    [2, 1, 1],
  );
  assert.equal(source.orphans(), 1);
  assert.equal([...source.deviceInfo(10)].length, 3);
  assert.equal(inventory.walks, 1);
});

test('the info of a device names its holder’s container, in a label of bounded length', () => {
  const source = sourceWith({
    inventory: inventoryOf([
      device({ container: WEB }),
      device({ container: { ...WEB, id: 'x'.repeat(255) } }),
      device({}),
    ]),
  });
  assert.deepEqual(
    [...source.deviceInfo(10)].map(({ containerId, runtime }) => [containerId, runtime]),
    [
      [WEB.id, 'docker'],
      ['x'.repeat(128), 'docker'],
      ['', ''],
    ],
  );
});

test('devices that say nothing have no info, and there are never more than the limit', () => {
  const source = sourceWith({
    inventory: inventoryOf([
      device({ name: 'loop0', state: 'unbound', owner: NOBODYS }),
      device({ name: 'loop1', state: 'unbound' }),
      device({ name: 'loop2', state: 'unbound', owner: { ...CONTAINERS, as: 'creator' } }),
      device({ name: 'loop3', owner: NOBODYS }),
      device({ name: 'loop4' }),
    ]),
  });
  assert.deepEqual(
    [...source.deviceInfo(10)].map(({ device: name, userns }) => [name, userns]),
    [
      ['loop2', '4026532101'],
      ['loop3', 'unknown'],
      ['loop4', 'initial'],
    ],
  );
  assert.equal([...source.deviceInfo(2)].length, 2);
  assert.equal([...source.deviceInfo(0)].length, 0);
});

test('a hook is attached by the link that says so, and by no other state', () => {
  const attached = (outcomes: HookOutcome[]): number[] => {
    const map = new Map<HookName, HookOutcome[]>([['loop_ioctl', outcomes]]);
    const source = sourceWith({ outcomes: () => map });
    return source.labels.hooks.flatMap(({ hook }, index) =>
      hook === 'loop_ioctl' ? (source.hooksAttached()[index] ?? []) : [],
    );
  };
  assert.deepEqual(attached([{ state: 'attached', link: 'tp_btf' }]), [0, 0, 1]);
  assert.deepEqual(attached([{ state: 'failed', link: 'tp_btf', error: 'x' }]), [0, 0, 0]);
  assert.deepEqual(attached([{ state: 'detached', link: 'tp_btf' }]), [0, 0, 0]);
  assert.deepEqual(attached([{ state: 'attached', link: 'socket_filter' }]), [0, 0, 0]);
  assert.deepEqual(attached([]), [0, 0, 0]);
});

test('receivers are counted by class', () => {
  const receivers = (['filtered', 'filtered', 'foreign_filter'] satisfies ReceiverClass[]).map(
    (each) => ({ class: each }) as Receiver,
  );
  const source = sourceWith({ receivers: () => receivers });
  assert.deepEqual(
    source.labels.receiverClasses.map((each, index) => [each, source.receivers()[index]]),
    [
      ['filtered', 2],
      ['allowed', 0],
      ['foreign_filter', 1],
      ['unfiltered', 0],
    ],
  );
});

test('the host’s receivers are counted by whose they are, those of containers not at all', () => {
  const receiver = (more: Partial<Receiver>) =>
    ({ class: 'filtered', usernsLevel: 0, netns: 1, uid: 0, command: 'listener', ...more }) as Receiver;
  const list = [
    receiver({ command: 'systemd-udevd' }),
    receiver({ class: 'allowed' }),
    receiver({}),
    // Anybody may call himself so.
    receiver({ command: 'systemd-udevd', uid: 1000 }),
    // A rootful container has one of its own.
    receiver({ command: 'systemd-udevd', netns: 2 }),
    receiver({ command: 'systemd-udevd', usernsLevel: 1 }),
  ];
  const source = sourceWith({ receivers: () => list });
  assert.deepEqual(
    source.labels.hostReceiverKinds.map((kind, at) => [kind, source.hostReceivers()[at]]),
    [
      ['udevd', 1],
      ['allowed', 1],
      ['other', 3],
    ],
  );
});

test('the rank of a hook is the place of its link, and none while it has none', () => {
  const outcomes = new Map<HookName, HookOutcome[]>([
    [
      'loop_ioctl',
      [
        { state: 'failed', link: 'fentry', error: 'x' },
        { state: 'attached', link: 'kprobe' },
      ],
    ],
    ['uevent_emission', [{ state: 'detached', link: 'fexit' }]],
  ]);
  const ranks = sourceWith({ outcomes: () => outcomes }).hookRanks();
  assert.deepEqual(
    ranks.filter(({ rank }) => rank !== undefined),
    [{ hook: 'loop_ioctl', rank: 1 }],
  );
  assert.equal(ranks.length, HOOK_NAMES.length);
});

test('a device leaks when it is bound and its container has gone', () => {
  const gone = { ...WEB, name: 'gone' };
  const source = sourceWith({
    inventory: inventoryOf([
      device({ container: gone }),
      device({ container: WEB }),
      device({}),
      device({ container: gone, state: 'unbound' }),
    ]),
    isContainerGone: ({ name }) => name === 'gone',
  });
  assert.equal(source.leaks(), 1);
});

test('the tables say how full they are', () => {
  const owners = programs.map('owners');
  const key = Buffer.from([3, 0, 112, 0]);
  const entry = Buffer.alloc(owners.valueSize);
  const before = sourceWith().tableEntries();
  owners.put(key, entry);
  const after = sourceWith().tableEntries();
  owners.delete(key);
  assert.equal((after[0]?.used ?? 0) - (before[0]?.used ?? 0), 1);
  assert.deepEqual(
    after.map(({ size }) => size),
    [owners.maxEntries, programs.map('userns').maxEntries],
  );
});

test('only configured outputs have series', async () => {
  const lines = async (more: Partial<KernelMetricsOptions>) =>
    (await createMetrics(sourceWith(more), { deviceInfo: false, deviceInfoLimit: 0 }).renderMetrics())
      .split('\n')
      .filter((line) => line.startsWith('loopwarden_audit_output_lines_total'));
  assert.deepEqual(await lines({ outputs: [] }), []);
  assert.ok(
    (await lines({})).includes('loopwarden_audit_output_lines_total{output="otlp",result="rejected"} 1'),
  );
});

test('what is attached has its run counts under its name', () => {
  const stats = { runs: 3n, runNs: 5_000_000_000n, missed: 2n };
  const source = sourceWith({ programRuns: () => new Map([['lo_ioctl_again_fexit', stats]]) });
  assert.deepEqual(source.programRuns(), [
    { program: 'lo_ioctl_again_fexit', runs: 3, seconds: 5, missed: 2 },
  ]);
});

test('a whole scrape has every series of the contract from the beginning', async () => {
  const text = await createMetrics(sourceWith(), { deviceInfo: true, deviceInfoLimit: 10 }).renderMetrics();
  assert.match(text, /^loopwarden_loop_ioctls_total\{command="LOOP_CTL_GET_FREE",result="other"\} 0$/m);
  assert.match(text, /^loopwarden_uevent_deliveries_total\{verdict="hide",rule="echo"\} 0$/m);
  assert.match(text, /^loopwarden_hook_attached\{hook="uevent_delivery",link="socket_filter"\} 0$/m);
});
