/**
 * All instances: made, placed into a container, ended with it, and taken over from an earlier process.
 *
 * An instance ends when its last mount goes (the container's mount namespace has died, or its root unmounted it) or when
 * it is told to. Then its devices are detached and removed; those that somebody has open are tried again and again.
 */
import { randomBytes } from 'node:crypto';
import { closeSync } from 'node:fs';
import { createError, reasonOf } from '../errors.js';
import type { DeviceBroker } from './broker.js';
import { identifyProcess, isAlive } from './container-process.js';
import { createErrnoError, ERRNO, errnoOf } from './errno.js';
import { createInstance, type Instance } from './instance.js';
import type { LoopfsModule, LoopfsOperation, LoopfsServer, UsernsId } from './native.js';
import type { Numbers } from './numbers.js';
import { createPartitionLinks, type PartitionLinks, readPartitionNames } from './partitions.js';
import type { Placement } from './placement.js';
import type { Quota } from './quota.js';
import { reapDevices } from './reap.js';
import type { ContainerProcess, InstanceRecord, StateFiles } from './state-file.js';

export interface InstanceRequest {
  name: string;
  max: number;
  uidBase: number;
  gidBase: number;
}

export interface InstanceReport extends InstanceRequest {
  state: 'waiting' | 'placed' | 'ending';
  container: ContainerProcess | null;
  devices: { number: number; bound: boolean }[];
}

export interface ReapReport {
  name: string;
  removed: number[];
  left: { number: number; code: string }[];
}

export interface Registry {
  create(request: InstanceRequest): InstanceReport;
  list(): InstanceReport[];
  get(name: string): InstanceReport;
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
  numbers: Numbers;
  quota: Quota;
  files: StateFiles;
  placement: Placement;
  onReaped(report: ReapReport): void;
  onError(error: unknown, what: string): void;
}

interface Entry {
  instance: Instance;
  record: InstanceRecord;
  /** The server's number of it; null once it has ended. */
  served: number | null;
  mountFd: number | null;
  /** Null until it is placed. */
  partitions: PartitionLinks | null;
}

const REAP_MS = 5000;
const RETRY_REAP_MS = 200;

export function openRegistry(parts: RegistryParts): Registry {
  const byName = new Map<string, Entry>();
  const byServed = new Map<number, Entry>();
  const ending = new Map<string, Entry>();
  const server = parts.openServer(onEvent);

  return {
    create(request) {
      if (byName.has(request.name)) throw createError('ERR_INSTANCE_EXISTS', { name: request.name });
      const id = `${request.name}.${randomBytes(6).toString('hex')}`;
      const entry = enter({ ...request, id, devices: [], container: null, reaping: false });
      mount(entry);
      byName.set(request.name, entry);
      parts.files.write(entry.record);
      return reportOf(entry);
    },
    list: () => [...byName.values(), ...ending.values()].map(reportOf),
    get: (name) => reportOf(find(name)),
    async attach(name, pid, root) {
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
      const entry = find(name);
      if (entry.served !== null) server.end(entry.served);
      const { container } = entry.record;
      return end(entry, { unplace: container !== null && isAlive(container) });
    },
    async restore(records) {
      await Promise.all(records.map((record) => restoreOne(record)));
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
      const placed = [...byName.values()].flatMap(({ partitions, instance, record }) => {
        const numbers = instance.devices().map(({ number }) => number);
        return partitions && numbers.length > 0 ? [{ partitions, numbers, record }] : [];
      });
      if (placed.length === 0) return;
      const names = await readPartitionNames();
      const updates = placed.map(({ partitions, numbers, record }) =>
        partitions.update(numbers, names).catch((error: unknown) => parts.onError(error, record.name)),
      );
      await Promise.all(updates);
    },
    stop() {
      // Before the server goes: a caller that is told EIO is not to find its device gone, too.
      for (const entry of byName.values()) entry.instance.close();
      server.close();
      for (const entry of byName.values()) closeMount(entry);
      parts.placement.close();
    },
  };

  function enter(record: InstanceRecord): Entry {
    const entry: Entry = {
      record,
      served: null,
      mountFd: null,
      partitions: null,
      instance: createInstance(
        { id: record.id, name: record.name, max: record.max },
        {
          broker: parts.broker,
          numbers: parts.numbers,
          quota: parts.quota,
          isAlive: (pid) => identifyProcess(pid) !== undefined,
          keep: (devices) => update(entry, { devices }),
          show: (number, present) => show(entry, number, present),
        },
      ),
    };
    for (const device of record.devices) entry.instance.adopt(device);
    return entry;
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
    } catch (error) {
      throw createError('ERR_LOOPFS_UNAVAILABLE', { reason: reasonOf(error) }, { cause: error });
    }
    byServed.set(entry.served, entry);
    for (const { number } of devices) server.setDevice(entry.served, number, true);
  }

  async function place(entry: Entry, container: ContainerProcess, root?: string): Promise<void> {
    const { name, uidBase, gidBase, devices } = entry.record;
    const names = devices.length === 0 ? new Map<number, string[]>() : await readPartitionNames();
    const partitions = devices.flatMap(({ number }) => names.get(number) ?? []);
    const nodes = [...devices.map(({ number }) => `loop${number}`), ...partitions];
    const { mountFd } = entry;
    try {
      if (mountFd === null) throw createErrnoError('its mount', ERRNO.ENODEV);
      await parts.placement.place({
        ...{ name, container, mountFd, uidBase, gidBase, nodes },
        ...(root === undefined ? {} : { root }),
      });
    } catch (error) {
      const reason = reasonOf(error);
      throw createError('ERR_PLACEMENT', { name, pid: container.pid, reason }, { cause: error });
    }
    entry.partitions = createPartitionLinks(partitions, (node, present) =>
      parts.placement.onNode(name, node, present),
    );
    // From now on the container's mount namespace alone keeps it.
    closeMount(entry);
  }

  function closeMount(entry: Entry): void {
    if (entry.mountFd !== null) closeSync(entry.mountFd);
    entry.mountFd = null;
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
      if (entry) void end(entry).catch((error: unknown) => parts.onError(error, entry.record.name));
      return;
    }
    answer(entry, operation, argument, pid)
      .catch((error: unknown) => {
        parts.onError(error, operation);
        return -errnoOf(error);
      })
      .then((result) => server.respond(request, result))
      // The server has been closed meanwhile, and has answered by itself.
      .catch(() => {});
  }

  async function answer(
    entry: Entry | undefined,
    operation: Exclude<LoopfsOperation, 'end'>,
    argument: number,
    pid: number,
  ): Promise<number> {
    if (entry === undefined) return -ERRNO.ENODEV;
    const { instance } = entry;
    if (operation === 'get_free') return instance.getFree({ pid, userns: ownerOf(pid) });
    if (operation === 'add') return instance.add(argument, { pid, userns: ownerOf(pid) });
    return operation === 'remove' ? instance.remove(argument) : instance.unlink(argument);
  }

  /** Empty: the caller has gone, or is of the initial user namespace. */
  function ownerOf(pid: number): UsernsId[] {
    try {
      return pid > 0 ? parts.module.usernsChain(pid) : [];
    } catch {
      return [];
    }
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
    const { name } = entry.record;
    if (unplace)
      await parts.placement.unplace(name).catch((error: unknown) => parts.onError(error, `unplace ${name}`));
    else parts.placement.release(name);
    return reap(entry, REAP_MS);
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

  function reportOf({ instance, record, served }: Entry): InstanceReport {
    const { name, max, uidBase, gidBase, container } = record;
    const state = served === null ? 'ending' : container ? 'placed' : 'waiting';
    return { name, max, uidBase, gidBase, state, container, devices: instance.devices() };
  }
}
