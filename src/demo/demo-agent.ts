/**
 * The agent with a recording in the place of the kernel: from the decoder on everything is the agent's own. It needs no
 * privilege, loads nothing, and says wherever it is asked that it is a demo.
 */
import type { Logger } from 'pino';
import { createCleanup } from '../cleanup.js';
import type { LoadedConfig } from '../config/assemble.js';
import { createInventory } from '../devices/inventory.js';
import { creatorOf, readOwners } from '../devices/owners.js';
import { createRegistry } from '../devices/registry.js';
import { createError, reasonOf } from '../errors.js';
import { createEventPath } from '../event-path.js';
import { openAccounts } from '../events/accounts.js';
import { decodeBatch } from '../events/decode.js';
import { readDrops } from '../kernel/counters.js';
import { RECEIVER_CLASSES } from '../kernel/receiver-class.js';
import { createActivity } from '../sinks/activity.js';
import { openAuditSink } from '../sinks/audit-sink.js';
import { createAuditTrail } from '../sinks/audit-trail.js';
import { createEventFeed } from '../sinks/event-feed.js';
import { createHostAccesses } from '../sinks/host-accesses.js';
import { createKernelMetrics } from '../sinks/kernel-metrics.js';
import { createMetrics } from '../sinks/metrics.js';
import { VERSION } from '../version.js';
import { type AgentStatus, createAgentApi } from '../web/agent-api.js';
import { startControlServer } from '../web/control-server.js';
import { createPageApi } from '../web/page-api.js';
import { startPublicServer } from '../web/public-server.js';
import { readBootClock } from './boot-clock.js';
import type { Frame, Recording } from './frame.js';
import { eventIn, type Pass } from './pass.js';
import { createStage } from './stage.js';

/** In the place of a commit: in build_info, and in the page's footer. */
const REVISION = 'demo';
const NOTICE =
  'this is a demo. What it shows was recorded on another host; nothing of this one is watched or hidden';

export interface DemoAgent {
  status(): AgentStatus;
  /** Takes what is new in the frame, past all stations. */
  onFrame(frame: Frame, pass: Pass): Promise<void>;
  stop(): Promise<void>;
}

/** @throws ERR_PORT_IN_USE, ERR_SOCKET_PATH and what else a start can */
export async function startDemoAgent(
  recording: Recording,
  loaded: LoadedConfig,
  log: Logger,
): Promise<DemoAgent> {
  const { config } = loaded;
  const { header } = recording;
  const cleanup = createCleanup();
  try {
    return await assemble();
  } catch (error) {
    await cleanup.run().catch((failure: unknown) => log.error({ err: failure }, 'after a failed start'));
    throw error;
  }

  async function assemble(): Promise<DemoAgent> {
    const startedAt = new Date().toISOString();
    const build = { version: VERSION, revision: REVISION };
    const auditLog = await openAuditSink(config.audit, {
      readClocks: readBootClock,
      onTrouble: (what, error) => log.error({ reason: reasonOf(error) }, what),
      onState: ({ failing, reason }) => failing && log.error({ reason }, 'the audit log cannot be written'),
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
      readClocks: readBootClock,
    });
    const stage = createStage(recording);
    const map = stage.programs.map;
    const owners = map('owners');
    const registry = createRegistry(header.partShift);
    const inventory = createInventory(
      { owners, userns: map('userns') },
      registry,
      stage.containers,
      stage.host,
    );
    // Against what the kernel of the recording has counted at its beginning.
    const [opening] = recording.frames;
    if (opening === undefined) throw createError('ERR_INTERNAL', { reason: 'an empty recording' });
    stage.show(opening, firstPass(opening));
    const accounts = openAccounts({
      recordSeq: map('record_seq'),
      dropCounts: map('drop_counts'),
      aggregateCounts: map('aggregate_counts'),
    });
    accounts.begin();
    registry.seed(stage.host.listLoops(), readOwners(owners));

    const takeEvent = createEventPath({
      completeCookie: () => {},
      accounts,
      containers: stage.containers,
      registry,
      activity,
      hostAccesses,
      trail,
      partShift: header.partShift,
      creatorOf: (devno) => creatorOf(owners, devno),
      written: () => new Set(),
      settle: () => {},
      handOver: ({ device, action }) => log.info({ device: device.name, action }, 'handed over to the host'),
    });

    const filterMode = () => 'hide' as const;
    const refuse = (action: string): never => {
      throw createError('ERR_ONLY_A_DEMO', { action });
    };
    const api = createAgentApi({
      loaded,
      inventory,
      receivers: {
        scan: stage.receivers,
        list: stage.receivers,
        detachAll: () => 0,
        udevTgid: () => 0,
        close: () => {},
      },
      feed,
      activity,
      status,
      processes: { usernsOf: () => refuse('make devices'), close: () => {} },
      maker: { make: () => refuse('make devices') },
      filterMode,
      setFilterMode: () => refuse('change what is hidden'),
    });
    const control = await startControlServer({
      path: config.api.socket,
      api,
      onError: (error) => log.error({ err: error }, 'control request'),
    });
    cleanup.add(() => control.close());
    const notCounted = { runs: 0n, runNs: 0n, missed: 0n };
    const source = createKernelMetrics({
      programs: stage.programs,
      // The kernel of the recording does not count runs (kernel.bpf_stats_enabled), as most do not.
      programRuns: () => new Map(stage.programList().map(({ name }) => [name, notCounted])),
      inventory,
      outcomes: () => new Map(stage.hooks().map(({ hook, outcomes }) => [hook, outcomes])),
      receivers: stage.receivers,
      networkNamespace: stage.receivers().find(({ usernsLevel }) => usernsLevel === 0)?.netns ?? 0,
      ringBytes: () => ({ available: stage.ring().availableBytes, size: stage.ring().sizeBytes }),
      auditLines,
      outputs: config.audit.outputs,
      outputCounts: auditLog.outputCounts,
      records: () => accounts.check(() => stage.ring().unreadBytes === 0),
      filterMode,
      loopfs: async () => stage.loopfs(),
      hostAccesses,
      reaps: () => undefined,
      hiddenNodes: () => 0,
      // Which cgroups were still there is not recorded.
      isContainerGone: () => false,
      isReady: () => false,
      startTimeSeconds: Date.parse(startedAt) / 1000,
      gapRecords: () => 0,
      build,
    });
    const metrics = createMetrics(source, {
      deviceInfo: config.metrics.device_info,
      deviceInfoLimit: config.metrics.device_info_limit,
    });
    const health = { unhealthyReasons: () => [], unreadyReasons: () => [NOTICE] };
    const host = { name: 'demo (a recording)', kernel: header.kernel };
    const page = createPageApi({ api, status, source, health, events: feed, limits: config.loopfs, host });
    cleanup.add(() => page.close());
    const pages = await startPublicServer({
      address: config.http.address,
      port: config.http.port,
      metrics,
      health,
      page,
      onError: (error) => log.error({ err: error }, 'web request'),
    });
    cleanup.add(() => pages.close());

    return {
      status,
      async onFrame(frame, pass) {
        stage.show(frame, pass);
        if (frame.agent === 'start') trail.recordAgent('start');
        if (frame.records) {
          const { events, malformed } = decodeBatch(frame.records);
          if (malformed > 0) log.error({ malformed }, 'records that no layout explains');
          for (const event of events) takeEvent(eventIn(pass, event));
        }
        if (frame.agent === 'stop') trail.recordAgent('stop');
        await auditLog.flush();
      },
      stop: () => cleanup.run(),
    };

    function status(): AgentStatus {
      return {
        ...build,
        pid: process.pid,
        startedAt,
        filterMode: filterMode(),
        auditLog: config.audit.path,
        metricsUrl: pages.url,
        hooks: stage.hooks(),
        programs: stage.programList(),
        receivers: RECEIVER_CLASSES.map((each) => ({
          class: each,
          count: stage.receivers().filter((receiver) => receiver.class === each).length,
        })),
        drops: readDrops(map('drop_counts')),
        auditLines: auditLines(),
      };
    }
  }
}

/** Of what is there before the first frame is played: as it was recorded. */
function firstPass({ atNs }: Frame): Pass {
  return { number: 0, timeOf: () => atNs, diskseqOf: (diskseq) => diskseq };
}
