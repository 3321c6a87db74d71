/**
 * The agent: puts the stations together, in the order in which an event travels them, and takes them apart again.
 *
 * A start that fails leaves nothing attached, pinned or listening. A stop leaves the filter on the receivers and the
 * owner maps pinned: enforcement outlives the agent.
 */
import type { Logger } from 'pino';
import { createAggregatePath } from './aggregate-path.js';
import { type Cleanup, createCleanup } from './cleanup.js';
import type { LoadedConfig } from './config/load.js';
import { createDeviceMaker } from './devices/device-making.js';
import { diskName, loopName } from './devices/devno.js';
import { createInventory } from './devices/inventory.js';
import { openOpeners } from './devices/openers.js';
import { creatorOf, readOwners } from './devices/owners.js';
import { createRegistry } from './devices/registry.js';
import { listLoops, triggerUevent } from './devices/sysfs.js';
import { isAttachmentUnseen, showDevice } from './devices/unseen-device.js';
import { reasonOf } from './errors.js';
import { createEventPath } from './event-path.js';
import { openAccounts } from './events/accounts.js';
import { measureAggregateGap, openAggregates } from './events/aggregates.js';
import type { DecodedBatch } from './events/decode.js';
import { type Gap, measureGap, openEventRing } from './events/ring.js';
import { createHousekeeping, STACK_LOOK_MS } from './housekeeping.js';
import { openCgroupHierarchy } from './identity/cgroup-hierarchy.js';
import { createContainerPresence } from './identity/container-presence.js';
import { createContainerResolver } from './identity/resolver.js';
import { dropCapabilities, NODE_CAPABILITIES } from './kernel/capabilities.js';
import { readDrops } from './kernel/counters.js';
import { HOOK_NAMES } from './kernel/hooks.js';
import { OPENERS_ITERATOR } from './kernel/iterators.js';
import { openKernelSide } from './kernel/kernel-side.js';
import { LISTENER_PROGRAM } from './kernel/listener.js';
import { type BpfMap, loadNative, type NativeAddon } from './kernel/native.js';
import { checkRoot } from './kernel/permission.js';
import { raisePriority } from './kernel/priority.js';
import { RECEIVER_CLASSES } from './kernel/receiver-class.js';
import { loopPartShift } from './kernel/settings.js';
import { type Loading, loadKernelSide, waitUntilLoadable } from './kernel-loading.js';
import { LOOPFS_CAPABILITIES } from './loopfs/capabilities.js';
import { superviseLoopfs } from './loopfs-supervisor.js';
import { openNamespaceSide } from './namespace-side.js';
import { openNodeHiding } from './node-hiding.js';
import type { PassedListener } from './notify/passed-listener.js';
import { type HandOver, handOversOfScope } from './policy/hand-over.js';
import { isUdevFiltered } from './policy/udev-cookie.js';
import { createReadiness } from './readiness.js';
import { createReaper } from './reaper.js';
import { openReceiverSide } from './receiver-side.js';
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
  /** `loopwarden load` has done what takes capabilities (src/kernel-loading.ts), and this process may have none for it. */
  isLoaded?: boolean;
}

/**
 * Undefined: `stop` came while it waited for the loop driver.
 *
 * @throws every error of the table that can happen at a start
 */
export async function startAgent(
  loaded: LoadedConfig,
  log: Logger,
  stop: AbortSignal,
  { native = loadNative(), listener, isLoaded = false }: AgentOptions = {},
): Promise<Agent | undefined> {
  if (isLoaded) checkRoot();
  else if (!(await waitUntilLoadable(native, log, stop))) return undefined;
  raisePriority();
  const cleanup = createCleanup();
  const load = (): Promise<Loading> => loadKernelSide(native, loaded.config, log);
  try {
    return await assemble({ native, loaded, log, cleanup, listener, load: isLoaded ? undefined : load });
  } catch (error) {
    await cleanup
      .run()
      .catch((failure: unknown) => log.error({ err: failure }, 'cleaning up after a failed start'));
    throw error;
  }
}

interface Parts {
  native: NativeAddon;
  loaded: LoadedConfig;
  log: Logger;
  cleanup: Cleanup;
  listener: PassedListener | undefined;
  /** Undefined: another process has. */
  load: (() => Promise<Loading>) | undefined;
}

async function assemble(parts: Parts): Promise<Agent> {
  const { native, loaded, log, cleanup, listener, load } = parts;
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
  const hostAccesses = createHostAccesses(process.pid);
  const trail = createAuditTrail({
    log: auditLog,
    feed,
    kinds: config.audit.kinds,
    maxLineBytes: config.audit.max_line_bytes,
    readClocks: () => native.clocks(),
  });

  const loading = await load?.();
  // An error after this leaves nothing of a first load, and no filter.
  cleanup.add(() => (started ? undefined : loading?.undo()));
  const kernel = await openKernelSide(native, config.pins.path);
  cleanup.add(() => kernel.close());
  const { gates, iterators, pins } = kernel;
  const partShift = loopPartShift();
  const owners = kernel.map('owners');
  const registry = createRegistry(partShift);
  const containers = createContainerResolver({
    native,
    hierarchy: openCgroupHierarchy(native, (reason) =>
      log.warn({ reason }, 'cgroups are found by their processes only: containers that end soon go unnamed'),
    ),
  });
  const openers = openOpeners(iterators[OPENERS_ITERATOR]);
  cleanup.add(() => openers.close());
  const inventory = createInventory(
    { owners, userns: kernel.map('userns') },
    registry,
    containers,
    openNamespaceSide(native, { kernel, log, cleanup }),
  );
  const { receivers, processes, filter } = openReceiverSide(native, {
    config,
    kernel,
    containers,
    log,
    cleanup,
  });
  const unreadyReasons = createReadiness({
    kernel,
    receivers,
    filterMode: filter.mode,
    configured: config.filter.mode,
    hasStarted: () => started,
  });
  const nodes = openNodeHiding(native, { config, owners, filterMode: filter.mode, log });
  cleanup.add(() => nodes.close());
  const ring = openEventRing(native, kernel.map('events'), onBatch);
  cleanup.add(() => ring.close());
  const isRingRead = (): boolean => ring.stats().unreadBytes === 0;

  const accounts = openAccounts({
    recordSeq: kernel.map('record_seq'),
    dropCounts: kernel.map('drop_counts'),
    aggregateCounts: kernel.map('aggregate_counts'),
  });
  const aggregatePath = createAggregatePath({
    aggregates: openAggregates({
      aggregates: kernel.map('aggregates'),
      recordBudgets: kernel.map('record_budgets'),
    }),
    containers,
    activity,
    hostAccesses,
    nameOf: (devno) => registry.get(devno)?.name ?? diskName(devno, partShift),
    trail,
    flush: () => auditLog.flush(),
    onFlood: ({ caller: { pid, comm, uid, userns } }, records) =>
      log.warn({ records, pid, comm, uid, userns: userns.inum }, 'more events than are recorded: counted'),
    onError: (error) => log.error({ err: error }, 'events that were counted cannot be told'),
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
    settle: nodes.settle,
    handOver,
    completeCookie,
  });

  const api = createAgentApi({
    loaded,
    inventory,
    receivers,
    feed,
    activity,
    status,
    processes,
    maker: createDeviceMaker(native, kernel.map('stated_owners'), partShift),
    filterMode: filter.mode,
    setFilterMode(mode) {
      filter.setMode(mode);
      nodes.settleAll();
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
  const reaper = createReaper({
    mode: config.reap.mode,
    graceMs: config.reap.grace_seconds * 1000,
    inventory,
    openers,
    ownerOf: (devno) => creatorOf(owners, devno),
    nodes,
    calls: native,
    trail,
    log,
  });
  cleanup.add(() => reaper.stop());
  const source = createKernelMetrics({
    programs: kernel,
    programRuns: () => gates.stats().set(LISTENER_PROGRAM, kernel.listenerProgram.stats()),
    inventory,
    outcomes: () => kernel.outcomes,
    receivers: receivers.list,
    networkNamespace: kernel.networkNamespace,
    ringBytes: () => ({ available: ring.stats().availableBytes, size: ring.stats().sizeBytes }),
    auditLines,
    outputs: config.audit.outputs,
    outputCounts: auditLog.outputCounts,
    records: () => accounts.check(isRingRead),
    filterMode: filter.mode,
    loopfs: createStatisticsReader(config.loopfs.socket),
    hostAccesses,
    reaps: () =>
      config.reap.mode === 'off' ? undefined : { counts: reaper.counts(), stuck: reaper.stuck() },
    hiddenNodes: () => nodes.hidden(),
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

  const loops = listLoops();
  registry.seed(loops, readOwners(owners));
  // An error after this leaves no filter behind, unless an earlier agent's was there already.
  cleanup.add(() => void (started || !loading?.isFirst || receivers.detachAll()));
  const { quarantine, scopeBefore } = kernel.earlier;
  if (quarantine) trail.recordAgent('quarantine', { quarantine });
  for (const foreign of pins.foreignRings) recordGap(foreign, measureGap(native, foreign));
  for (const foreign of pins.foreignAggregates) recordGap(foreign, measureAggregateGap(foreign));
  // An agent that is killed before leaves them to the next: told twice is better than never.
  if (pins.foreignRings.length > 0) await auditLog.flush();
  pins.dropOtherLayouts();
  filter.setMode(config.filter.mode);
  if (scopeBefore === 'container' && config.hide.scope === 'userns')
    handOversOfScope(
      loops.flatMap(({ devno }) => registry.get(devno) ?? []),
      readOwners(owners),
    ).forEach(handOver);
  // All is open. A process of loopfs that is started again needs its own from here.
  const left = dropCapabilities(
    native,
    kernel.map('settings'),
    config.loopfs.serve ? LOOPFS_CAPABILITIES : 0,
    config.hide.devnode ? NODE_CAPABILITIES : 0,
  );
  log.info({ left }, 'capabilities given up');
  nodes.settleAll();
  const house = createHousekeeping({
    native,
    kernel,
    filter,
    accounts,
    isRingRead,
    completeCookie,
    pinsPath: config.pins.path,
    tellHost,
    log,
  });
  const housekeeping = setInterval(house.keep, config.receivers.scan_interval_ms);
  cleanup.add(() => clearInterval(housekeeping));
  const stackLooks = house.lookForStacks && setInterval(house.lookForStacks, STACK_LOOK_MS);
  cleanup.add(() => clearInterval(stackLooks));
  started = true;
  reaper.start();
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
      await aggregatePath.stop();
      trail.recordAgent('stop');
      await cleanup.run();
    },
  };

  /** What was recorded while no agent ran. */
  async function readOut(): Promise<void> {
    if (ring.stats().availableBytes > 0 || kernel.map('aggregates').entries().count > 0)
      written = readWrittenKeys(config.audit.path);
    await aggregatePath.start(written);
    const records = await ring.start();
    written = new Set();
    accounts.begin();
    if (records > 0) log.info({ records }, 'records of the time without an agent, read out');
  }

  function onBatch({ events, malformed }: DecodedBatch): Promise<void> {
    if (malformed > 0) log.error({ malformed }, 'records that no layout explains');
    for (const event of events) {
      takeEvent(event);
      if (isAttachmentUnseen(event)) look(loopName(event.record.devno, partShift));
    }
    return auditLog.flush();
  }

  function look(name: string): void {
    try {
      showDevice(native, name);
    } catch (error) {
      log.warn({ err: error, device: name }, 'a device that another thread’s descriptor led to');
    }
  }

  function completeCookie(cookie: number): void {
    if (isUdevFiltered(receivers.list(), receivers.udevTgid())) native.completeUdevCookie(cookie);
  }

  function handOver({ device: { name }, action }: HandOver): void {
    log.info({ device: name, action }, 'handed over to the host');
    tellHost(name, action);
  }

  function tellHost(name: string, action: 'add' | 'change'): void {
    try {
      triggerUevent(name, action);
    } catch (error) {
      // Removed meanwhile: then the host has nothing to be told.
      log.warn({ err: error, device: name }, 'hand-over');
    }
  }

  /** What waits in a map of another version, which this one cannot read. */
  function recordGap(map: BpfMap, gap: Gap): void {
    map.close();
    if (gap.records === 0) return;
    gapRecords += gap.records;
    log.error(gap, 'records of another version cannot be read: a gap');
    trail.recordAgent('gap', { gap });
  }

  function status(): AgentStatus {
    return {
      ...build,
      pid: process.pid,
      startedAt,
      filterMode: filter.mode(),
      auditLog: config.audit.path,
      metricsUrl: pages.url,
      hooks: HOOK_NAMES.map((hook) => ({ hook, outcomes: kernel.outcomes.get(hook) ?? [] })),
      programs: [...kernel.programs],
      receivers: RECEIVER_CLASSES.map((each) => ({
        class: each,
        count: receivers.list().filter((receiver) => receiver.class === each).length,
      })),
      drops: readDrops(kernel.map('drop_counts')),
      auditLines: auditLines(),
    };
  }
}
