/**
 * The agent: puts the stations together, in the order in which an event travels them, and takes them apart again.
 *
 * A start that fails leaves nothing attached, pinned or listening. A stop leaves the filter on the receivers and the
 * owner maps pinned: enforcement outlives the agent.
 */
import type { Logger } from 'pino';
import { type Cleanup, createCleanup } from './cleanup.js';
import type { LoadedConfig } from './config/load.js';
import type { Config } from './config/schema.js';
import { createDeviceMaker } from './devices/device-making.js';
import { createInventory, thisHost } from './devices/inventory.js';
import { creatorOf, readOwners, reconcileOwners } from './devices/owners.js';
import { createRegistry } from './devices/registry.js';
import { adoptStacks, leftDisks, releaseStacks } from './devices/stacks.js';
import { listLoops, triggerUevent } from './devices/sysfs.js';
import { reasonOf } from './errors.js';
import { createEventPath } from './event-path.js';
import { openAccounts } from './events/accounts.js';
import type { DecodedBatch } from './events/decode.js';
import { measureGap, openEventRing } from './events/ring.js';
import { openCgroupHierarchy } from './identity/cgroup-hierarchy.js';
import { createContainerPresence } from './identity/container-presence.js';
import { createContainerResolver } from './identity/resolver.js';
import { ACTING_BUILD, isActingBuild, keepActingBuild } from './kernel/acting-set.js';
import { chooseHooks, LISTENER_PROGRAM, refusedProgram } from './kernel/attach.js';
import { dropCapabilities } from './kernel/capabilities.js';
import { readDrops } from './kernel/counters.js';
import { openFilter } from './kernel/filter.js';
import { openGates } from './kernel/gates.js';
import { HOOK_NAMES, hookPrograms, LISTENER_BODY } from './kernel/hooks.js';
import { waitForLoopDriver } from './kernel/loop-driver.js';
import { type BpfMap, loadNative, type NativeAddon } from './kernel/native.js';
import { checkDriverTypes, checkPermission } from './kernel/permission.js';
import { openPins } from './kernel/pins.js';
import { openProcesses, PROCESS_ITERATOR } from './kernel/processes.js';
import { PROGRAM_ITERATOR } from './kernel/program-names.js';
import { describeBuild, type LoadedPrograms, loadPrograms } from './kernel/programs.js';
import {
  openReceivers,
  ownNetworkNamespace,
  RECEIVER_CLASSES,
  RECEIVER_ITERATOR,
} from './kernel/receivers.js';
import { changeSettings, loopPartShift } from './kernel/settings.js';
import { LOOPFS_CAPABILITIES } from './loopfs/capabilities.js';
import { superviseLoopfs } from './loopfs-supervisor.js';
import type { PassedListener } from './notify/passed-listener.js';
import { isUdevFiltered } from './policy/udev-cookie.js';
import { createActivity } from './sinks/activity.js';
import { openAuditSink } from './sinks/audit-sink.js';
import { createAuditTrail } from './sinks/audit-trail.js';
import { createEventFeed } from './sinks/event-feed.js';
import { createHostAccesses } from './sinks/host-accesses.js';
import { createKernelMetrics } from './sinks/kernel-metrics.js';
import { readWrittenKeys, removeTornLine } from './sinks/log-tail.js';
import { createMetrics } from './sinks/metrics.js';
import { readRevision, VERSION } from './version.js';
import { type AgentStatus, createAgentApi } from './web/agent-api.js';
import { startControlServer } from './web/control-server.js';
import { createStatisticsReader } from './web/loopfs-client.js';
import { createPageApi } from './web/page-api.js';
import { startPublicServer } from './web/public-server.js';

export interface Agent {
  status(): AgentStatus;
  /** Opens the audit log's path anew, after something has rotated it. Never throws: a failure is in the log. */
  reopenLog(): Promise<void>;
  /** Writes out what is under way. */
  stop(): Promise<void>;
}

export interface AgentOptions {
  /** Another one that does the same and tells of it. */
  native?: NativeAddon;
  /** For the public pages, in the place of one by the config. */
  listener?: PassedListener | undefined;
}

const isOnListener = (name: string): boolean => name === LISTENER_PROGRAM || name === LISTENER_BODY;
const ITERATORS = [RECEIVER_ITERATOR, PROCESS_ITERATOR, PROGRAM_ITERATOR];

/**
 * Undefined: `stop` came while it waited for the loop driver.
 *
 * @throws every error of the table that can happen at a start
 */
export async function startAgent(
  loaded: LoadedConfig,
  log: Logger,
  stop: AbortSignal,
  { native = loadNative(), listener }: AgentOptions = {},
): Promise<Agent | undefined> {
  checkPermission(native);
  const driverThere = await waitForLoopDriver(stop, () =>
    log.warn('waiting for the loop driver: modprobe loop, or install the package that holds the module'),
  );
  if (!driverThere) return undefined;
  checkDriverTypes();
  const cleanup = createCleanup();
  try {
    return await assemble(native, loaded, log, cleanup, listener);
  } catch (error) {
    await cleanup
      .run()
      .catch((failure: unknown) => log.error({ err: failure }, 'cleaning up after a failed start'));
    throw error;
  }
}

async function assemble(
  native: NativeAddon,
  loaded: LoadedConfig,
  log: Logger,
  cleanup: Cleanup,
  listener: PassedListener | undefined,
): Promise<Agent> {
  const { config } = loaded;
  let started = false;
  const startedAt = new Date().toISOString();
  const build = { version: VERSION, revision: readRevision() };

  // The sinks, last station first: each later one is there when the one before it opens.
  removeTornLine(config.audit.path);
  const auditLog = await openAuditSink(config.audit, {
    readClocks: () => native.clocks(),
    onTrouble: (what, error) => log.error({ reason: reasonOf(error) }, what),
    onState: ({ failing, reason }) =>
      failing
        ? log.error({ reason }, 'the audit log cannot be written')
        : log.info('the audit log is written again'),
  });
  cleanup.add(() => auditLog.close());
  const auditLines = () => ({ written: auditLog.stats().linesWritten, lost: auditLog.stats().linesLost });
  const feed = createEventFeed(config.limits.recent_events);
  const activity = createActivity();
  const hostAccesses = createHostAccesses();
  const trail = createAuditTrail({
    log: auditLog,
    feed,
    kinds: config.audit.kinds,
    maxLineBytes: config.audit.max_line_bytes,
    readClocks: () => native.clocks(),
  });

  // Loaded, but nothing attached yet: another agent may be at work.
  const pins = openPins(native, config.pins.path);
  const gates = openGates(native, pins.gatesFolder, hookPrograms());
  cleanup.add(() => gates.close());
  const hooks = chooseHooks(native, { gates, avoid: config.hooks.avoid });
  cleanup.add(() => hooks.close());
  const { programs, reused } = loadChosen();
  cleanup.add(() => programs.close());
  const partShift = loopPartShift();
  const owners = programs.map('owners');
  const stacks = { owners, disks: programs.map('disks'), stackLinks: programs.map('stack_links') };
  const registry = createRegistry(partShift);
  const containers = createContainerResolver({
    native,
    hierarchy: openCgroupHierarchy(native, (reason) =>
      log.warn({ reason }, 'cgroups are found by their processes only: containers that end soon go unnamed'),
    ),
  });
  const inventory = createInventory(
    { owners, userns: programs.map('userns') },
    registry,
    containers,
    thisHost(native),
  );
  const delivery = () =>
    hooks.link('uevent_delivery').place === 'receivers' ? gates.program('uevent_delivery_socket') : null;
  const receivers = openReceivers(native, {
    iterator: programs.program(RECEIVER_ITERATOR),
    programIterator: programs.program(PROGRAM_ITERATOR),
    delivery,
    allowedCookies: programs.map('allowed_receivers'),
    allow: config.receivers.allow,
    ownInode: () => hooks.listener().inode,
    filtering: () => filter.mode() !== 'off',
  });
  cleanup.add(() => receivers.close());
  receivers.refuseSecondAgent();
  const processes = openProcesses(programs.program(PROCESS_ITERATOR));
  cleanup.add(() => processes.close());
  const filter = openFilter(native, {
    settings: programs.map('settings'),
    announcements: programs.map('receiver_events'),
    delivery,
    receivers,
    hooks,
    onOutcome: (outcome) => log.debug(outcome, 'a receiver has appeared'),
  });
  cleanup.add(() => filter.close());
  const ring = openEventRing(native, programs.map('events'), onBatch);
  cleanup.add(() => ring.close());

  const accounts = openAccounts({
    recordSeq: programs.map('record_seq'),
    dropCounts: programs.map('drop_counts'),
  });
  let written: ReadonlySet<string> = new Set();
  let gapRecords = 0;
  const takeEvent = createEventPath({
    accounts,
    containers,
    registry,
    activity,
    hostAccesses,
    trail,
    partShift,
    creatorOf: (devno) => creatorOf(owners, devno),
    written: () => written,
    handOver({ device, action }) {
      log.info({ device: device.name, action }, 'handed over to the host');
      handToHost(device.name, action);
    },
    completeCookie(cookie) {
      if (isUdevFiltered(receivers.list(), receivers.udevTgid())) native.completeUdevCookie(cookie);
    },
  });

  const drops = (): Record<string, number> => readDrops(programs.map('drop_counts'));
  const api = createAgentApi({
    loaded,
    inventory,
    receivers,
    feed,
    activity,
    status,
    processes,
    maker: createDeviceMaker(native, programs.map('stated_owners'), partShift),
    filterMode: filter.mode,
    setFilterMode(mode) {
      filter.setMode(mode);
      log.warn({ mode }, 'filter mode set');
      trail.recordAgent(`filter_${mode}`);
    },
  });
  const control = await startControlServer({
    path: config.api.socket,
    api,
    onError: (error) => log.error({ err: error }, 'control request'),
  });
  cleanup.add(() => control.close());
  const source = createKernelMetrics({
    programs,
    programRuns: () => gates.stats().set(LISTENER_PROGRAM, programs.program(LISTENER_PROGRAM).stats()),
    inventory,
    outcomes: () => hooks.outcomes,
    receivers: receivers.list,
    networkNamespace: ownNetworkNamespace(),
    ringBytes: () => ({ available: ring.stats().availableBytes, size: ring.stats().sizeBytes }),
    auditLines,
    outputs: config.audit.outputs,
    outputCounts: auditLog.outputCounts,
    records: () => accounts.check(() => ring.stats().unreadBytes === 0),
    filterMode: filter.mode,
    loopfs: createStatisticsReader(config.loopfs.socket),
    hostAccesses,
    isContainerGone: createContainerPresence(),
    isReady: () => unreadyReasons().length === 0,
    startTimeSeconds: Date.parse(startedAt) / 1000,
    gapRecords: () => gapRecords,
    build,
  });
  const metrics = createMetrics(source, {
    deviceInfo: config.metrics.device_info,
    deviceInfoLimit: config.metrics.device_info_limit,
  });
  const health = { unhealthyReasons: () => [], unreadyReasons };
  const page = config.http.page
    ? createPageApi({ api, status, source, health, events: feed, limits: config.loopfs })
    : undefined;
  cleanup.add(() => page?.close());
  const pages = await startPublicServer({
    address: listener?.address ?? config.http.address,
    port: listener?.port ?? config.http.port,
    listener: listener?.server,
    metrics,
    health,
    page,
    webConfig: config.http.web_config,
    allowUnauthenticated: config.http.allow_unauthenticated,
    allowedHosts: config.http.allowed_hosts,
    onError: (error) => log.error({ err: error }, 'web request'),
    onReload: (error) =>
      error === undefined
        ? log.info({ path: config.http.web_config }, 'the web config was read again')
        : log.error({ err: error }, 'the web config is wrong now; the one before it stays in force'),
  });
  cleanup.add(() => pages.close());

  // From here on this is the only agent: what an earlier one left is ours.
  // Only where no programs went on writing to it.
  if (pins.found.size > 0 && !gates.areActing()) {
    log.info(reconcileOwners(owners, partShift), 'owner map of an earlier agent taken over');
    releaseStacks(stacks, native.clocks().bootNs);
  }
  cleanup.add(() => (started ? undefined : pins.undo()));
  pins.keep(programs);
  registry.seed(listLoops(), readOwners(owners));
  // An error after this leaves no filter behind, unless an earlier agent's was there already.
  cleanup.add(() => void (started || pins.found.size > 0 || receivers.detachAll()));
  // Before the switch: what an earlier agent's programs did, these are to do from their first call.
  changeSettings(programs.map('settings'), { mode: config.filter.mode });
  const extra: LoadedPrograms[] = [];
  cleanup.add(() => {
    for (const each of extra) each.close();
  });
  const loadMore = (names: readonly string[]): LoadedPrograms => {
    const more = loadPrograms(native, { programs: names, reuse: mapsOf(programs), sizes: {} });
    extra.push(more);
    return more;
  };
  hooks.attach(programs, loadMore, { reuse: reused });
  keepActingBuild(programs.map(ACTING_BUILD), gates, hooks.gatePrograms(), buildOf());
  if (reused) log.info('the programs of an earlier agent are of this build, and go on');
  gates.pin();
  const adopted = adoptStacks(stacks);
  if (adopted.length > 0) log.info({ disks: adopted }, 'found on devices of user namespaces');
  for (const foreign of pins.foreignRings) recordGap(foreign);
  // An agent that is killed before leaves them to the next: told twice is better than never.
  if (pins.foreignRings.length > 0) await auditLog.flush();
  pins.dropOtherLayouts();
  filter.setMode(config.filter.mode);
  // All is attached and open. A process of loopfs that is started again needs its own from here.
  const left = dropCapabilities(
    native,
    programs.map('settings'),
    config.loopfs.serve ? LOOPFS_CAPABILITIES : 0,
  );
  log.info({ left }, 'capabilities given up');
  let dropsSeen = 0;
  let unaccountedSeen = 0;
  let pinsMissed = false;
  const housekeeping = setInterval(keepHouse, config.receivers.scan_interval_ms);
  cleanup.add(() => clearInterval(housekeeping));
  started = true;
  if (config.loopfs.serve) {
    const supervisor = superviseLoopfs(config, log);
    cleanup.add(() => supervisor.stop());
  }
  trail.recordAgent('start');
  await readOut();

  return {
    status,
    async reopenLog() {
      try {
        await auditLog.reopen();
        log.info('the audit log’s path is open anew');
      } catch (error) {
        log.error({ err: error }, 'the audit log cannot be opened anew: it goes on in the old file');
      }
    },
    async stop() {
      await ring.readAll();
      trail.recordAgent('stop');
      await cleanup.run();
    },
  };

  /** What was recorded while no agent ran. */
  async function readOut(): Promise<void> {
    if (ring.stats().availableBytes > 0) written = readWrittenKeys(config.audit.path);
    const records = await ring.start();
    written = new Set();
    accounts.begin();
    if (records > 0) log.info({ records }, 'records of the time without an agent, read out');
  }

  function buildOf(): string {
    return describeBuild(native, hooks.programs());
  }

  /** Where the kernel refuses a program, its hook's next link is taken. */
  function loadChosen(): { programs: LoadedPrograms; reused: boolean } {
    const refusals: string[] = [];
    for (;;) {
      const reused = isActingBuild(pins.found.get(ACTING_BUILD), gates, hooks.gatePrograms(), buildOf());
      try {
        const loaded = loadPrograms(native, {
          programs: [...(reused ? hooks.programs().filter(isOnListener) : hooks.programs()), ...ITERATORS],
          reuse: pins.found,
          sizes: mapSizes(config),
        });
        // Only now: a start that fails says it in its error.
        for (const reason of refusals)
          log.warn({ reason }, 'the kernel refused a program; its hook takes another link');
        return { programs: loaded, reused };
      } catch (error) {
        const program = refusedProgram(error);
        if (program === undefined) throw error;
        refusals.push(reasonOf(error));
        hooks.refuse(program, reasonOf(error));
      }
    }
  }

  function onBatch({ events, malformed }: DecodedBatch): Promise<void> {
    if (malformed > 0) log.error({ malformed }, 'records that no layout explains');
    for (const event of events) takeEvent(event);
    return auditLog.flush();
  }

  function handToHost(name: string, action: 'add' | 'change'): void {
    try {
      triggerUevent(name, action);
    } catch (error) {
      // Removed meanwhile: then the host has nothing to be told.
      log.warn({ err: error, device: name }, 'hand-over');
    }
  }

  function keepHouse(): void {
    filter.refresh();
    keepStacks();
    const { unaccounted } = accounts.check(() => ring.stats().unreadBytes === 0);
    if (unaccounted > unaccountedSeen)
      log.error({ unaccounted: unaccounted - unaccountedSeen }, 'records are unaccounted for');
    unaccountedSeen = unaccounted;
    if (!pins.arePresent() && !pinsMissed) {
      pinsMissed = true;
      log.error(
        { path: config.pins.path },
        'the pins are gone: nothing would outlive this agent; restart it',
      );
    }
    const dropped = drops();
    const all = Object.values(dropped).reduce((sum, count) => sum + count, 0);
    if (all > dropsSeen) log.error({ lost: all - dropsSeen, ...dropped }, 'records were lost');
    dropsSeen = all;
  }

  /** Where no hook tells of it, what is put on what; everywhere, what has passed to the host by that. */
  function keepStacks(): void {
    const { bootNs } = native.clocks();
    if (hooks.link('disk_stacking').place === 'agent') {
      releaseStacks(stacks, bootNs);
      adoptStacks(stacks);
    }
    for (const { name, action } of leftDisks(owners, bootNs)) {
      log.info(
        { device: name, action },
        'on no device of a user namespace any more: handed over to the host',
      );
      handToHost(name, action);
    }
  }

  /** What waits in the ring of another version, which this one cannot read. */
  function recordGap(ring: BpfMap): void {
    const gap = measureGap(native, ring);
    ring.close();
    if (gap.records === 0) return;
    gapRecords += gap.records;
    log.error(gap, 'records of another version cannot be read: a gap');
    trail.recordAgent('gap', { gap });
  }

  function unreadyReasons(): string[] {
    const missing = HOOK_NAMES.filter(
      (name) => !hooks.outcomes.get(name)?.some((outcome) => outcome.state === 'attached'),
    );
    const bare = receivers.list().filter((receiver) => receiver.class === 'unfiltered');
    return [
      ...(started ? [] : ['starting']),
      ...(started && !pins.arePresent() ? ['the pins are gone: is bpffs unmounted?'] : []),
      ...missing
        .filter((name) => name !== 'uevent_delivery' || filter.mode() !== 'off')
        .map((name) => `hook ${name} is not attached`),
      ...(filter.mode() === config.filter.mode
        ? []
        : [`filter is ${filter.mode()}, the config says ${config.filter.mode}`]),
      ...(filter.mode() === 'off'
        ? []
        : bare.map(({ pid, why }) => `receiver of process ${pid} is unfiltered: ${why}`)),
    ];
  }

  function loadedPrograms(): AgentStatus['programs'] {
    const names = [...hooks.programs(), ...ITERATORS];
    return names.flatMap((name) => {
      // A hook that took another link at its first try has its programs elsewhere.
      const source = [...extra, programs].find((each) => each.hasProgram(name));
      return source ? { name, verifiedInstructions: source.program(name).verifiedInstructions } : [];
    });
  }

  function status(): AgentStatus {
    return {
      ...build,
      pid: process.pid,
      startedAt,
      filterMode: filter.mode(),
      auditLog: config.audit.path,
      metricsUrl: pages.url,
      hooks: HOOK_NAMES.map((hook) => ({ hook, outcomes: hooks.outcomes.get(hook) ?? [] })),
      programs: loadedPrograms(),
      receivers: RECEIVER_CLASSES.map((each) => ({
        class: each,
        count: receivers.list().filter((receiver) => receiver.class === each).length,
      })),
      drops: drops(),
      auditLines: auditLines(),
    };
  }
}

function mapsOf(programs: LoadedPrograms): Map<string, BpfMap> {
  return new Map(programs.mapNames().map((name) => [name, programs.map(name)]));
}

function mapSizes({ ring, limits }: Config): Record<string, number> {
  return {
    events: ring.size_bytes,
    owners: limits.devices,
    userns: limits.user_namespaces,
    userns_stamps: limits.user_namespaces,
    inflight: limits.inflight,
    calls_by_thread: limits.inflight,
  };
}
