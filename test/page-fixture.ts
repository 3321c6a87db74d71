/**
 * A state of an agent for the live page, made by the agent's own stations: events go through the audit trail and its feed,
 * devices through the API's verdicts, counters through the history. Only the kernel below is told, not asked.
 */
import { loadConfig } from '../src/config/load.js';
import type { DeviceView } from '../src/devices/view.js';
import type { Container } from '../src/identity/container.js';
import {
  DROP_REASON_NAMES,
  LOOP_COMMAND,
  LOOP_COMMAND_NAMES,
  RULE,
  RULE_NAMES,
  UEVENT_ACTION,
  VERDICT,
  VERDICT_NAMES,
} from '../src/kernel/abi.js';
import type { Receivers } from '../src/kernel/receivers.js';
import type { FilterModeName } from '../src/kernel/settings.js';
import { createActivity } from '../src/sinks/activity.js';
import { type AuditEntry, entryOfEvent } from '../src/sinks/audit-events.js';
import { createAuditTrail } from '../src/sinks/audit-trail.js';
import { createEventFeed } from '../src/sinks/event-feed.js';
import { createRateHistory } from '../src/sinks/rate-history.js';
import { type AgentStatus, createAgentApi } from '../src/web/agent-api.js';
import { createPageApi, type PageApi } from '../src/web/page-api.js';
import { caller, configState, INITIAL, ioctlEvent, ueventEvent, unboundState } from './event-fixture.js';
import { metricsFixture } from './metrics-fixture.js';

export interface PageFixture {
  page: PageApi;
  devices: DeviceView[];
  /** What the metrics read. */
  counters: Counters;
  record(entry: AuditEntry, atMs?: number): void;
  /** A line as it is, past the trail. */
  publish(line: string): void;
  /** Of the rates, at that time. */
  sample(atMs: number): void;
  mode: FilterModeName;
  unready: string[];
  loopfs:
    | { instances: number; devices: Record<string, number>; refusals: Record<string, number> }
    | undefined;
}

export interface Counters {
  ok: number;
  failed: number;
  hidden: number;
  delivered: number;
  events: number;
  drops: number;
}

const lower = (names: ReadonlyMap<number, string>): string[] =>
  [...names.values()].map((name) => name.toLowerCase());

export function pageFixture({ startedAt = new Date().toISOString(), kept = 1000 } = {}): PageFixture {
  const { config, ...loaded } = loadConfig({ defaultPath: '/nonexistent/config.yaml' });
  const feed = createEventFeed(kept);
  let wallMs = Date.now();
  const trail = createAuditTrail({
    log: {
      write: () => {},
      flush: async () => {},
      close: async () => {},
      stats: () => ({ linesWritten: 0, linesLost: 0 }),
    } as never,
    feed,
    kinds: config.audit.kinds,
    maxLineBytes: config.audit.max_line_bytes,
    readClocks: () => ({ bootNs: BigInt(wallMs) * 1_000_000n, wallNs: BigInt(wallMs) * 1_000_000n }),
  });
  const devices: DeviceView[] = [];
  const counters: Counters = { ok: 0, failed: 0, hidden: 0, delivered: 0, events: 0, drops: 0 };
  const fixture: PageFixture = {
    devices,
    counters,
    mode: 'hide',
    unready: [],
    loopfs: {
      instances: 3,
      devices: { bound: 11, unbound: 2 },
      refusals: { total: 0, instance: 0, instance_numbers: 0, userns: 0 },
    },
    record(entry, atMs = Date.now()) {
      wallMs = atMs;
      trail.record({ ...entry, bootNs: BigInt(Math.round(atMs * 1e6)) });
      counters.events++;
    },
    publish: (line) => feed.publish(line),
    sample(atMs) {
      sampleMs = atMs;
      history.take();
    },
    page: undefined as never,
  };
  const rules = lower(RULE_NAMES);
  const results = ['ok', 'EBUSY', 'other'];
  const source = metricsFixture({
    labels: {
      ...metricsFixture().labels,
      results,
      rules,
      verdicts: lower(VERDICT_NAMES),
      commands: [...LOOP_COMMAND_NAMES.values()],
    },
    ioctls: () => [counters.ok, counters.failed, 0],
    deliveries: () => {
      const counts = new Array<number>(rules.length * 2).fill(0);
      counts[RULE.NOT_LOOP] = 1_000_000;
      counts[RULE.INITIAL_OWNER] = Math.floor(counters.delivered * 0.8);
      counts[RULE.RECEIVER_OWNS] = counters.delivered - Math.floor(counters.delivered * 0.8);
      counts[rules.length + RULE.HOLDER] = Math.floor(counters.hidden * 0.86);
      counts[rules.length + RULE.CREATOR] = counters.hidden - Math.floor(counters.hidden * 0.86);
      return counts;
    },
    events: () => [counters.events],
    drops: () => [counters.drops, 0, 0, 0, 0, 0],
    records: () => ({
      produced: counters.events,
      delivered: counters.events - counters.drops,
      aggregated: 0,
      unaccounted: 0,
    }),
    ringBytes: () => ({ available: 0, size: config.ring.size_bytes }),
    loopfs: async () => fixture.loopfs,
  });
  let sampleMs = Date.now();
  const history = createRateHistory(source, 360, () => sampleMs);
  const status = (): AgentStatus => ({
    version: '0.1.0',
    revision: 'c0ffee123456',
    pid: 4711,
    startedAt,
    filterMode: fixture.mode,
    auditLog: config.audit.path,
    metricsUrl: 'http://127.0.0.1:9847',
    hooks: [
      { hook: 'loop_ioctl', outcomes: [{ state: 'attached', link: 'fexit' }] },
      { hook: 'receiver_appearance', outcomes: [{ state: 'attached', link: 'tp_btf' }] },
      { hook: 'uevent_emission', outcomes: [{ state: 'attached', link: 'fexit' }] },
      { hook: 'uevent_delivery', outcomes: [{ state: 'attached', link: 'lsm' }] },
    ],
    programs: [],
    receivers: [
      { class: 'filtered', count: 4 },
      { class: 'allowed', count: 1 },
      { class: 'foreign_filter', count: 0 },
      { class: 'unfiltered', count: 0 },
    ],
    drops: Object.fromEntries(
      lower(DROP_REASON_NAMES).map((name, at) => [name, at === 0 ? counters.drops : 0]),
    ),
    auditLines: { written: counters.events, lost: 0 },
  });
  const api = createAgentApi({
    loaded: { config, ...loaded },
    feed,
    activity: createActivity(),
    receivers: {} as Receivers,
    inventory: {
      devices: () => devices,
      disks: () => [],
      device: (name) => devices.find((device) => device.name === name),
      orphans: () => [],
      ownership: () => ({ owners: new Map(), userNamespaces: new Map(), living: new Set() }),
    },
    status,
    filterMode: () => fixture.mode,
    setFilterMode: () => {},
    processes: { usernsOf: () => undefined, close: () => {} },
    maker: { make: () => 0 },
  });
  const health = { unhealthyReasons: () => [], unreadyReasons: () => fixture.unready };
  const page = createPageApi({ api, status, source, health, events: feed, limits: config.loopfs });
  fixture.page = { ...page, rates: (after) => history.after(after) };
  return fixture;
}

export interface Tenant {
  container: Container;
  inum: number;
  uid: number;
  folder: string;
}

const hex = (seed: number): string => {
  let text = '';
  for (let word = seed; text.length < 64; word = (word * 1_103_515_245 + 12_345) & 0x7fffffff)
    text += word.toString(16);
  return text.slice(0, 64);
};

function tenant(
  runtime: Container['runtime'],
  name: string | undefined,
  inum: number,
  folder: string,
): Tenant {
  const id = runtime === 'lxc' || runtime === 'incus' || runtime === 'nspawn' ? (name ?? '') : hex(inum);
  const source =
    runtime === 'docker' ? 'docker state file' : runtime === 'podman' ? 'podman state file' : 'cgroup';
  const cgroup = `/${runtime}/${id}`;
  const container: Container = {
    runtime,
    id,
    confidence: 'high',
    source,
    cgroup,
    ...(name !== undefined && { name }),
  };
  return { container, inum, uid: 100_000 + (inum % 97) * 65_536, folder };
}

export const TENANTS: readonly Tenant[] = [
  tenant('docker', 'shop-web', 4_026_532_177, '/srv/data'),
  tenant('podman', 'image-build', 4_026_532_241, '/srv/out'),
  tenant('kubernetes', 'ci/runner-x7k2p/build', 4_026_532_305, '/builds/rootfs'),
  tenant('kubernetes', 'ci/runner-9fq4m/build', 4_026_532_369, '/builds/rootfs'),
  tenant('lxc', 'db01', 4_026_532_433, '/var/lib/images'),
  tenant('incus', 'lab-3', 4_026_532_497, '/root'),
  tenant('nspawn', 'debian-sid', 4_026_532_561, '/var/tmp'),
  tenant('containerd', undefined, 4_026_532_625, '/data'),
];

/** loop`number` as this tenant's, or the host's. */
export function deviceView(
  number: number,
  of: Tenant | undefined,
  more: Partial<DeviceView> = {},
): DeviceView {
  const userns = of && { id: BigInt(of.inum) * 7n, inum: of.inum, level: 1, ownerUid: of.uid, alive: true };
  return {
    name: `loop${number}`,
    devno: `7:${number}`,
    diskseq: BigInt(40 + number),
    state: 'bound',
    sizeBytes: (1 + (number % 7)) * 268_435_456,
    logicalBlockBytes: 512,
    readOnly: false,
    partitions: of && number % 3 === 0 ? [`loop${number}p1`, `loop${number}p2`] : [],
    on: [],
    backing: {
      path: of
        ? `${of.folder}/disk-${number}.img`
        : `/var/lib/snapd/snaps/core${18 + number}_${2000 + number * 37}.snap`,
      offset: 0,
      sizelimit: 0,
      autoclear: of !== undefined,
      partscan: false,
      directIo: false,
      file: { devno: '8:1', inode: BigInt(1000 + number) },
    },
    owner: of
      ? { class: 'userns', as: 'holder', userns: userns ?? null, pidns: null }
      : { class: 'initial', as: 'holder', userns: null, pidns: null },
    orphan: false,
    attachedBy: { pid: 2000 + number * 13, comm: of ? 'losetup' : 'mount', uid: of?.uid ?? 0 },
    attachedBootNs: 5_000_000_000n,
    container: of?.container ?? null,
    ...more,
  };
}

/** One ioctl of a tenant, or of the host. */
export function ioctlEntry(
  command: keyof typeof LOOP_COMMAND,
  number: number,
  of: Tenant | undefined,
  {
    result = 0,
    diskseq = 40 + number,
    path,
    comm = of ? 'losetup' : 'mount',
  }: { result?: number; diskseq?: number; path?: string; comm?: string } = {},
): AuditEntry {
  const inner = of && { id: BigInt(of.inum) * 7n, inum: of.inum, level: 1, ownerUid: of.uid };
  const attaches = command === 'LOOP_CONFIGURE' || command === 'LOOP_SET_FD';
  const event = ioctlEvent(
    {
      caller: caller(of ? BigInt(of.inum) * 7n : INITIAL, {
        pid: 2000 + number * 13,
        comm,
        uid: of?.uid ?? 0,
        ...(inner && { userns: inner }),
      }),
      command: LOOP_COMMAND[command],
      result,
      durationNs: BigInt(9_000 + ((number * 7919 + diskseq * 104_729 + command.length * 52_711) % 400_000)),
      after: (attaches ? configState : unboundState)({ diskseq: BigInt(diskseq) }),
    },
    attaches ? (path ?? `${of?.folder ?? '/var/lib/snapd/snaps'}/disk-${number}.img`) : undefined,
  );
  return entryOfEvent(event, { name: `loop${number}`, devno: (7 << 20) | number }, undefined, of?.container);
}

export function ueventEntry(number: number, of: Tenant | undefined, diskseq = 40 + number): AuditEntry {
  const event = ueventEvent({
    emitter: caller(of ? BigInt(of.inum) * 7n : INITIAL, {
      pid: 2000 + number * 13,
      comm: of ? 'losetup' : 'mount',
    }),
    action: UEVENT_ACTION.CHANGE,
    verdict: of ? VERDICT.HIDE : VERDICT.DELIVER,
    rule: of ? RULE.HOLDER : RULE.INITIAL_OWNER,
    diskseq: BigInt(diskseq),
  });
  return entryOfEvent(event, { name: `loop${number}`, devno: (7 << 20) | number }, undefined, of?.container);
}

/** Half an hour of a host that builds images, told up to `nowMs`. */
export function tellStory(fixture: PageFixture, nowMs = Date.now()): void {
  const { devices, counters } = fixture;
  for (let number = 0; number < 4; number++) devices.push(deviceView(number, undefined));
  for (let number = 4; number < 64; number++) {
    const of = TENANTS[(number * 5) % TENANTS.length] as Tenant;
    devices.push(deviceView(number, of, { diskseq: BigInt(140 + number) }));
  }
  const gone = TENANTS[3] as Tenant;
  for (const number of [10, 37])
    devices[number] = deviceView(number, gone, {
      orphan: true,
      owner: {
        class: 'userns',
        as: 'holder',
        userns: { id: 5n, inum: gone.inum, level: 1, ownerUid: gone.uid, alive: false },
        pidns: null,
      },
    });
  for (let number = 64; number < 72; number++)
    devices.push(
      deviceView(number, undefined, {
        state: 'unbound',
        backing: null,
        attachedBy: null,
        container: null,
        sizeBytes: 0,
        owner: { class: 'unknown', as: null, userns: null, pidns: null },
      }),
    );

  const fromMs = nowMs - 30 * 60_000;
  for (let at = 0; at <= 360; at++) {
    const wave = 1 + Math.sin(at / 23) * 0.5 + Math.sin(at / 5) * 0.25 + (at > 210 && at < 232 ? 3.2 : 0);
    counters.ok += Math.round(58 * wave + ((at * 7919) % 17));
    counters.failed += Math.round(at > 210 && at < 232 ? 22 : (at * 31) % 7 === 0 ? 4 : 0);
    counters.hidden += Math.round(84 * wave + ((at * 104_729) % 23));
    counters.delivered += Math.round(19 + ((at * 7919) % 11));
    counters.events += Math.round(150 * wave);
    if (at < 120 || at > 126) fixture.sample(fromMs + at * 5000);
  }
  const lifeOf = (
    number: number,
    beganMs: number,
    endedMs: number | undefined,
    diskseq: number,
  ): [number, AuditEntry][] => {
    const of = TENANTS[(number * 5) % TENANTS.length] as Tenant;
    const life: [number, AuditEntry][] = [
      [beganMs, ioctlEntry('LOOP_CTL_GET_FREE', number, of, { diskseq })],
      [beganMs + 4, ioctlEntry('LOOP_CONFIGURE', number, of, { diskseq })],
      [beganMs + 5, ueventEntry(number, of, diskseq)],
      [beganMs + 90, ioctlEntry('LOOP_GET_STATUS64', number, of, { diskseq })],
    ];
    if (endedMs === undefined) return life;
    return [
      ...life,
      [endedMs - 900, ioctlEntry('LOOP_CLR_FD', number, of, { diskseq, result: -16 })],
      [endedMs, ioctlEntry('LOOP_CLR_FD', number, of, { diskseq })],
      [endedMs + 1, ueventEntry(number, of, diskseq)],
    ];
  };
  const told: [number, AuditEntry][] = [];
  for (let number = 4; number < 64; number++) {
    const began = nowMs - 1_700_000 + ((number * 48_271) % 900_000);
    told.push(...lifeOf(number, began, began + 240_000 + ((number * 7919) % 200_000), 40 + number));
    told.push(
      ...lifeOf(number, nowMs - 1500 - ((number * number * 9973) % 300_000), undefined, 140 + number),
    );
  }
  for (const [atMs, entry] of told.sort(([a], [b]) => a - b)) fixture.record(entry, atMs);
}
