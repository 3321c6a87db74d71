/**
 * All instances: made, placed into a container, ended with it, and taken over from an earlier process.
 *
 * An instance ends when its last mount goes (the container's mount namespace has died, or its root unmounted it) or when
 * it is told to. Then its devices are detached and removed; those that somebody has open are tried again and again.
 */
import { randomBytes } from 'node:crypto';
import { createError, reasonOf } from '../errors.js';
import type { DeviceBroker } from './broker.js';
import { identifyProcess, isAlive } from './container-process.js';
import { closeMount, type Entry } from './entry.js';
import { createErrnoError, ERRNO, errnoOf } from './errno.js';
import { createHostInstance, type HostReport } from './host-instance.js';
import { createInstance, type KeptDevice } from './instance.js';
import type { LoopfsModule, LoopfsOperation, LoopfsServer } from './native.js';
import type { Numbers } from './numbers.js';
import { createPartitionLinks, readPartitionNames, updatePartitionLinks } from './partitions.js';
import type { Placement } from './placement.js';
import type { Quota } from './quota.js';
import { reapDevices } from './reap.js';
import {
  type HostRequest,
  type InstanceReport,
  type InstanceRequest,
  type LoopfsStatistics,
  type ReapReport,
  reportOf,
  statisticsOf,
} from './reports.js';
import { answerRequest, type RequestParts } from './requests.js';
import type { ContainerProcess, InstanceRecord, StateFiles } from './state-file.js';
import type { UeventForwarding } from './uevent-forwarding.js';

export interface Registry {
  create(request: InstanceRequest | HostRequest): InstanceReport | HostReport;
  list(): (InstanceReport | HostReport)[];
  get(name: string): InstanceReport | HostReport;
  /** `root`: where the container's root is while its runtime still sets it up. */
  attach(name: string, pid: number, root?: string): Promise<InstanceReport>;
  /** Ends it and removes its devices. */
  detach(name: string): Promise<ReapReport>;
  /** Takes over what an earlier process left: places what lives again, reaps the rest. */
  restore(records: readonly InstanceRecord[]): Promise<void>;
  /** Ends what lost its container without a word, and tries again what could not be removed. */
  retry(): Promise<void>;
  /** Makes and removes the names of partitions in the containers. */
  linkPartitions(): Promise<void>;
  /** Removes temporary devices that nobody has open any more. */
  sweep(): Promise<void>;
  statistics(): LoopfsStatistics;
  /** Leaves everything to the next process. */
  stop(): void;
}

export interface RegistryParts {
  module: LoopfsModule;
  openServer(
    onEvent: (
      operation: LoopfsOperation,
      request: number,
      instance: number,
      argument: number,
      pid: number,
    ) => void,
  ): LoopfsServer;
  broker: DeviceBroker;
  partShift: number;
  numbers: Numbers;
  quota: Quota;
  files: StateFiles;
  placement: Placement;
  /** Where the host's own instance is mounted. */
  hostMount: string;
  forwarding: UeventForwarding;
  /** What instances do that were not told. */
  forwardUevents: boolean;
  onReaped(report: ReapReport): void;
  onError(error: unknown, what: string): void;
}

const REAP_MS = 5000;
const RETRY_REAP_MS = 200;

export function openRegistry(parts: RegistryParts): Registry {
  const byName = new Map<string, Entry>();
  const byServed = new Map<number, Entry>();
  const ending = new Map<string, Entry>();
  const server = parts.openServer(onEvent);
  const answering: RequestParts = {
    module: parts.module,
    server,
    partShift: parts.partShift,
    linkPartitions: (entry) => linkPartitionsOf([entry]),
  };
  const host = createHostInstance({
    module: parts.module,
    server,
    files: parts.files,
    path: parts.hostMount,
  });

  return {
    create(request) {
      const { name } = request;
      if (byName.has(name) || host.name() === name) throw createError('ERR_INSTANCE_EXISTS', { name });
      if ('host' in request) return host.create(name);
      const id = `${name}.${randomBytes(6).toString('hex')}`;
      const { uevents = parts.forwardUevents } = request;
      const entry = enter({ ...request, uevents, id, devices: [], container: null, reaping: false });
      mount(entry);
      byName.set(name, entry);
      parts.files.write(entry.record);
      return reportOf(entry);
    },
    list: () => [
      ...(host.name() === undefined ? [] : [host.report()]),
      ...[...byName.values(), ...ending.values()].map(reportOf),
    ],
    get: (name) => (host.name() === name ? host.report() : reportOf(find(name))),
    async attach(name, pid, root) {
      if (host.name() === name) throw createError('ERR_HOST_INSTANCE', { name });
      const entry = find(name);
      if (entry.record.container)
        throw createError('ERR_INSTANCE_PLACED', { name, pid: entry.record.container.pid });
      const container = identifyProcess(pid);
      if (!container) throw createError('ERR_PLACEMENT', { name, pid, reason: 'there is no such process' });
      // Before anything is awaited: a second attach is refused meanwhile.
      update(entry, { container });
      try {
        await place(entry, container, root);
      } catch (error) {
        update(entry, { container: null });
        throw error;
      }
      return reportOf(entry);
    },
    async detach(name) {
      if (host.name() === name) {
        host.end();
        return { name, removed: [], left: [] };
      }
      const entry = find(name);
      if (entry.served !== null) server.end(entry.served);
      const { container } = entry.record;
      return end(entry, { unplace: container !== null && isAlive(container) });
    },
    async restore(records) {
      const others = records.filter((record) => !record.host).map((record) => restoreOne(record));
      for (const record of records.filter((each) => each.host)) restoreHost(record);
      await Promise.all(others);
    },
    async retry() {
      // A bound device pins the mount of its image, and with it whatever is locked below (a copy of ours in a nested
      // namespace), so that a container's death alone does not always end the file system.
      const dead = [...byName.values()].filter(
        ({ record }) => record.container && !isAlive(record.container),
      );
      for (const { served } of dead) if (served !== null) server.end(served);
      await Promise.all(dead.map((entry) => end(entry)));
      await Promise.all([...ending.values()].map((entry) => reap(entry, RETRY_REAP_MS)));
    },
    async linkPartitions() {
      await linkPartitionsOf([...byName.values()]);
    },
    async sweep() {
      await Promise.all([...byName.values()].map(({ instance }) => instance.sweep()));
    },
    statistics: () => statisticsOf([...byName.values(), ...ending.values()], parts.quota, parts.numbers),
    stop() {
      // Before the server goes: a caller that is told EIO is not to find its device gone, too.
      for (const entry of byName.values()) entry.instance.close();
      host.stop();
      server.close();
      parts.forwarding.closeAll();
      for (const entry of byName.values()) closeMount(entry);
      parts.placement.close();
    },
  };

  function enter(record: InstanceRecord): Entry {
    const entry: Entry = {
      record,
      served: null,
      mountFd: null,
      device: 0,
      partitions: null,
      instance: createInstance(
        { id: record.id, name: record.name, max: record.max },
        {
          broker: parts.broker,
          numbers: parts.numbers,
          quota: parts.quota,
          isAlive: (pid) => identifyProcess(pid) !== undefined,
          keep: (devices) => keepDevices(entry, devices),
          show: (number, present) => show(entry, number, present),
        },
      ),
    };
    for (const device of record.devices) {
      entry.instance.adopt(device);
      host.setTaken(device.number, true);
    }
    return entry;
  }

  /** The host's instance has none of them, from before they are made until they have gone. */
  function keepDevices(entry: Entry, devices: readonly KeptDevice[]): void {
    const left = new Set(entry.record.devices.map(({ number }) => number));
    for (const { number } of devices) {
      if (left.delete(number)) continue;
      host.setTaken(number, true);
      parts.forwarding.own(entry.record.id, number);
    }
    update(entry, { devices });
    for (const number of left) host.setTaken(number, false);
  }

  function restoreHost(record: InstanceRecord): void {
    try {
      host.restore(record);
    } catch (error) {
      parts.onError(error, `take over ${record.name}`);
      host.end();
    }
  }

  function update(entry: Entry, change: Partial<InstanceRecord>): void {
    entry.record = { ...entry.record, ...change };
    parts.files.write(entry.record);
  }

  function mount(entry: Entry): void {
    const { uidBase, gidBase, max, devices } = entry.record;
    try {
      const made = server.mount(uidBase, gidBase, max);
      entry.served = made.instance;
      entry.mountFd = made.mountFd;
      entry.device = made.device;
    } catch (error) {
      throw createError('ERR_LOOPFS_UNAVAILABLE', { reason: reasonOf(error) }, { cause: error });
    }
    byServed.set(entry.served, entry);
    for (const { number } of devices) server.setDevice(entry.served, number, true);
  }

  async function place(entry: Entry, container: ContainerProcess, root?: string): Promise<void> {
    const { id, name, uidBase, gidBase, devices, uevents } = entry.record;
    const numbers = devices.map(({ number }) => number);
    const names = devices.length === 0 ? new Map<number, string[]>() : await readPartitionNames();
    const partitions = numbers.flatMap((number) => names.get(number) ?? []);
    const nodes = [...numbers.map((number) => `loop${number}`), ...partitions];
    const { mountFd } = entry;
    try {
      if (mountFd === null) throw createErrnoError('its mount', ERRNO.ENODEV);
      if (uevents) await parts.forwarding.open(id, container, numbers);
      await parts.placement.place({
        ...{ name, container, mountFd, uidBase, gidBase, nodes },
        ...(root === undefined ? {} : { root }),
      });
    } catch (error) {
      parts.forwarding.close(id);
      const reason = reasonOf(error);
      throw createError('ERR_PLACEMENT', { name, pid: container.pid, reason }, { cause: error });
    }
    entry.partitions = createPartitionLinks(partitions, (node, present) =>
      parts.placement.onNode(name, node, present),
    );
    // From now on the container's mount namespace alone keeps it.
    closeMount(entry);
  }

  async function show(entry: Entry, number: number, present: boolean): Promise<void> {
    const { name, container } = entry.record;
    if (entry.served === null) throw createErrnoError(`show loop${number}`, ERRNO.ENODEV);
    server.setDevice(entry.served, number, present);
    if (container) await parts.placement.onNode(name, `loop${number}`, present);
  }

  function onEvent(
    operation: LoopfsOperation,
    request: number,
    served: number,
    argument: number,
    pid: number,
  ) {
    const entry = byServed.get(served);
    if (operation === 'end') {
      if (host.isServed(served)) host.end();
      if (entry) void end(entry).catch((error: unknown) => parts.onError(error, entry.record.name));
      return;
    }
    answerRequest(answering, entry, { operation, argument, pid, request })
      .catch((error: unknown) => {
        parts.onError(error, operation);
        return -errnoOf(error);
      })
      .then((result) => server.respond(request, result))
      // The server has been closed meanwhile, and has answered by itself.
      .catch(() => {});
  }

  async function linkPartitionsOf(entries: readonly Entry[]): Promise<void> {
    const placed = entries.flatMap(({ partitions, instance, record }) => {
      const numbers = instance.devices().map(({ number }) => number);
      return partitions && numbers.length > 0 ? [{ partitions, numbers, name: record.name }] : [];
    });
    await updatePartitionLinks(placed, parts.onError);
  }

  /** `unplace`: also out of a container that goes on. */
  async function end(entry: Entry, { unplace = false } = {}): Promise<ReapReport> {
    entry.instance.close();
    if (entry.served !== null) byServed.delete(entry.served);
    entry.served = null;
    if (byName.get(entry.record.name) === entry) byName.delete(entry.record.name);
    ending.set(entry.record.id, entry);
    update(entry, { reaping: true });
    closeMount(entry);
    const { id, name } = entry.record;
    if (!unplace) parts.forwarding.close(id);
    if (unplace)
      await parts.placement.unplace(name).catch((error: unknown) => parts.onError(error, `unplace ${name}`));
    else parts.placement.release(name);
    const report = await reap(entry, REAP_MS);
    parts.forwarding.finish(id);
    return report;
  }

  async function reap(entry: Entry, deadlineMs: number): Promise<ReapReport> {
    const { id, name } = entry.record;
    const numbers = entry.instance.devices().map(({ number }) => number);
    const { removed, left } = await reapDevices(parts.broker, numbers, deadlineMs);
    for (const number of removed) entry.instance.drop(number);
    if (entry.instance.devices().length === 0 && ending.delete(id)) {
      parts.files.remove(id);
      parts.quota.forget(id);
    }
    const report = {
      name,
      removed,
      left: left.map(({ number, errno }) => ({ number, code: createErrnoError('', errno).code })),
    };
    parts.onReaped(report);
    return report;
  }

  async function restoreOne(record: InstanceRecord): Promise<void> {
    const entry = enter(record);
    const { container, name, reaping } = record;
    const lives = !reaping && !byName.has(name) && (container === null || isAlive(container));
    try {
      if (!lives) return void (await end(entry));
      // What was not finished before the kill: there is no node of it anywhere.
      for (const { number } of record.devices) {
        if (!parts.broker.exists(number)) entry.instance.drop(number);
      }
      byName.set(name, entry);
      mount(entry);
      if (container) await place(entry, container);
    } catch (error) {
      parts.onError(error, `take over ${name}`);
      if (entry.served !== null) server.end(entry.served);
      await end(entry);
    }
  }

  function find(name: string): Entry {
    const entry = byName.get(name);
    if (entry === undefined) throw createError('ERR_NO_SUCH_INSTANCE', { name });
    return entry;
  }
}
