/**
 * The process of loopfs: puts its parts together. Apart from the agent, which so stays without its capabilities, and
 * which neither stops auditing nor hiding when this one dies.
 */
import type { Logger } from 'pino';
import { type Cleanup, createCleanup } from './cleanup.js';
import type { Config } from './config/schema.js';
import { createError, reasonOf } from './errors.js';
import { waitForLoopDriver } from './kernel/loop-driver.js';
import { loadNative } from './kernel/native.js';
import { loopPartShift } from './kernel/settings.js';
import type { DeviceBroker } from './loopfs/broker.js';
import { createKernelBroker } from './loopfs/kernel-broker.js';
import { loadLoopfsModule } from './loopfs/native.js';
import { openNumbers } from './loopfs/numbers.js';
import type { Placement } from './loopfs/placement.js';
import { createPlacements } from './loopfs/placements.js';
import { createQuota } from './loopfs/quota.js';
import { openRegistry, type Registry } from './loopfs/registry.js';
import { openStateFiles } from './loopfs/state-file.js';
import { createUeventForwarding } from './loopfs/uevent-forwarding.js';
import { makeFolder } from './sinks/make-folder.js';
import { createAgentBroker } from './web/agent-broker.js';
import { createControlClient } from './web/control-client.js';
import { startLoopfsServer } from './web/loopfs-server.js';

export interface LoopfsProcess {
  registry: Registry;
  /** Leaves the instances to the next process. */
  stop(): Promise<void>;
}

/** Of each instance: calls in work at once, and calls that wait for that. Past both: EAGAIN. */
const OUTSTANDING_CALLS = 8;
const QUEUED_CALLS = 256;
/** How long a container may wait for its ioctl. */
const CALL_DEADLINE_MS = 5000;
const RETRY_INTERVAL_MS = 5000;
/**
 * How late the name of a partition may be in a container's /dev, where in the instance itself it is at once; and how long
 * a temporary device outlives its use.
 */
const PARTITION_INTERVAL_MS = 250;

export interface LoopfsOptions {
  /** How instances get into containers; into their mount namespaces, if not told. */
  placement?: Placement;
  /** Who makes the devices; the kernel, if not told. */
  broker?: DeviceBroker;
  /** Ends the wait for a loop driver that is not there yet. */
  stop?: AbortSignal;
}

/** @throws ERR_NOT_ROOT, ERR_ALREADY_RUNNING, ERR_SOCKET_PATH, ERR_LOOPFS_STATE */
export async function startLoopfs(
  config: Config,
  log: Logger,
  options: LoopfsOptions = {},
): Promise<LoopfsProcess> {
  if (process.geteuid?.() !== 0)
    throw createError('ERR_NOT_ROOT', { action: 'making devices for containers needs root' });
  const { stop = new AbortController().signal } = options;
  await waitForLoopDriver(stop, () => log.warn('no loop driver yet: modprobe loop'));
  const cleanup = createCleanup();
  try {
    return await assemble(config, log, options, cleanup);
  } catch (error) {
    await cleanup.run().catch((failure: unknown) => log.error({ err: failure }, 'after a failed start'));
    throw error;
  }
}

async function assemble(
  { loopfs: config, api }: Config,
  log: Logger,
  options: LoopfsOptions,
  cleanup: Cleanup,
): Promise<LoopfsProcess> {
  let publish: (registry: Registry) => void = () => {};
  const ready = new Promise<Registry>((resolve) => {
    publish = resolve;
  });
  // First of all: whoever has the socket is the only one at work on the state.
  const web = await startLoopfsServer({
    path: config.socket,
    registry: ready,
    onError: (error) => log.error({ err: error }, 'request'),
  });
  cleanup.add(() => web.close());

  const module = loadLoopfsModule();
  const native = loadNative();
  const partShift = loopPartShift();
  const { files, numbers } = await openState(config, partShift);
  const createBroker = (): DeviceBroker => {
    const kernel = createKernelBroker(module, partShift);
    if (!config.needs_agent) return kernel;
    const agent = createControlClient(api.socket, 'ERR_AGENT_NOT_RUNNING', { keep: true });
    // The first request takes 15 ms longer; no container is to wait for that.
    agent.request('GET', '/api/v1/status').catch(() => {});
    return createAgentBroker(agent, kernel);
  };
  const registry = openRegistry({
    module,
    openServer: (onEvent) =>
      module.openServer(config.threads, OUTSTANDING_CALLS, QUEUED_CALLS, CALL_DEADLINE_MS, onEvent),
    broker: options.broker ?? createBroker(),
    partShift,
    numbers,
    quota: createQuota({
      total: config.devices,
      perUserns: config.devices_per_userns,
      numbersPerInstance: config.numbers_per_instance,
    }),
    files,
    hostMount: config.host_mount,
    placement: options.placement ?? createPlacements(native),
    forwarding: createUeventForwarding(native, (error) => log.warn({ err: error }, 'forwarding uevents')),
    forwardUevents: config.forward_uevents,
    onReaped: (report) => {
      if (report.removed.length > 0 || report.left.length > 0) log.info(report, 'instance reaped');
    },
    onError: (error, what) => log.error({ err: error, what }, 'loopfs'),
  });
  cleanup.add(() => registry.stop());
  const { records, unreadable } = files.readAll();
  if (unreadable.length > 0) log.error({ unreadable }, 'state that is no record is left alone');
  await registry.restore(records);
  const retry = setInterval(() => {
    registry.retry().catch((error: unknown) => log.error({ err: error }, 'reaping again'));
  }, RETRY_INTERVAL_MS);
  cleanup.add(() => clearInterval(retry));
  const links = setInterval(() => {
    registry.linkPartitions().catch((error: unknown) => log.error({ err: error }, 'partitions'));
    registry.sweep().catch((error: unknown) => log.error({ err: error }, 'temporary devices'));
  }, PARTITION_INTERVAL_MS);
  cleanup.add(() => clearInterval(links));
  publish(registry);
  return { registry, stop: () => cleanup.run() };
}

/** @throws ERR_LOOPFS_STATE */
async function openState({ folder, first_number: first }: Config['loopfs'], partShift: number) {
  try {
    await makeFolder(folder);
    return { files: openStateFiles(folder), numbers: openNumbers({ folder, first, partShift }) };
  } catch (error) {
    throw createError('ERR_LOOPFS_STATE', { path: folder, reason: reasonOf(error) }, { cause: error });
  }
}
