/**
 * The instance of the host: a mount that shows every loop device which is in no container's instance, to the host's
 * CAP_SYS_ADMIN only. It owns no device: when it ends, nothing but the mount goes.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, readdirSync } from 'node:fs';
import { createError, reasonOf } from '../errors.js';
import { clearPlace, takePlace } from './host-place.js';
import type { LoopfsModule, LoopfsServer } from './native.js';
import type { InstanceRecord, StateFiles } from './state-file.js';

export interface HostReport {
  name: string;
  state: 'host';
  mountPoint: string;
  max: null;
  uidBase: 0;
  gidBase: 0;
  container: null;
  devices: { number: number; bound: boolean }[];
}

export interface HostInstance {
  /** Undefined while there is none. */
  name(): string | undefined;
  report(): HostReport;
  /** @throws ERR_INSTANCE_EXISTS, ERR_HOST_PLACE, ERR_LOOPFS_UNAVAILABLE */
  create(name: string): HostReport;
  /** Whether it is the one that the server calls by this number. */
  isServed(served: number): boolean;
  /** A device comes into a container's instance, or has gone from it. */
  setTaken(number: number, taken: boolean): void;
  /** Mounts again what an earlier process had mounted. */
  restore(record: InstanceRecord): void;
  end(): void;
  /** Unmounts it; the next process mounts it again. */
  stop(): void;
}

export interface HostInstanceParts {
  module: LoopfsModule;
  server: LoopfsServer;
  files: StateFiles;
  /** Where it is mounted. */
  path: string;
}

export function createHostInstance({ module, server, files, path }: HostInstanceParts): HostInstance {
  const taken = new Set<number>();
  let record: InstanceRecord | null = null;
  let served: number | null = null;

  const mount = (): void => {
    const made = mountServed(server);
    served = made.instance;
    for (const number of taken) server.setDevice(served, number, false);
    try {
      takePlace(module, made.mountFd, path);
    } catch (error) {
      unserve();
      throw error;
    } finally {
      closeSync(made.mountFd);
    }
  };
  const unserve = (): void => {
    if (served !== null) server.end(served);
    served = null;
  };
  const report = (): HostReport => ({
    ...{ name: record?.name ?? '', state: 'host', mountPoint: path, max: null, uidBase: 0, gidBase: 0 },
    container: null,
    devices: hostNumbers(taken).map((number) => ({ number, bound: isBound(number) })),
  });

  return {
    name: () => record?.name,
    report,
    create(name) {
      if (record) throw createError('ERR_INSTANCE_EXISTS', { name: record.name });
      const made = newRecord(name);
      // Before the mount: one that nobody knows of would stay.
      files.write(made);
      try {
        mount();
      } catch (error) {
        files.remove(made.id);
        throw error;
      }
      record = made;
      return report();
    },
    isServed: (number) => number === served,
    setTaken(number, isTaken) {
      if (isTaken) taken.add(number);
      else taken.delete(number);
      if (served !== null) server.setDevice(served, number, !isTaken);
    },
    restore(kept) {
      clearPlace(module, path);
      record = kept;
      mount();
    },
    end() {
      unserve();
      clearPlace(module, path);
      if (record) files.remove(record.id);
      record = null;
    },
    stop() {
      if (record === null) return;
      unserve();
      clearPlace(module, path);
    },
  };
}

/** @throws ERR_LOOPFS_UNAVAILABLE */
function mountServed(server: LoopfsServer): { instance: number; mountFd: number } {
  try {
    return server.mountHost();
  } catch (error) {
    throw createError('ERR_LOOPFS_UNAVAILABLE', { reason: reasonOf(error) }, { cause: error });
  }
}

function newRecord(name: string): InstanceRecord {
  const id = `${name}.${randomBytes(6).toString('hex')}`;
  const nobodys = { max: 0, uidBase: 0, gidBase: 0, devices: [], container: null, reaping: false };
  return { id, name, host: true, ...nobodys };
}

function hostNumbers(taken: ReadonlySet<number>): number[] {
  const numbers = readdirSync('/sys/block').flatMap((name) => /^loop(\d+)$/.exec(name)?.[1] ?? []);
  return numbers
    .map(Number)
    .filter((number) => !taken.has(number))
    .sort((a, b) => a - b);
}

function isBound(number: number): boolean {
  return existsSync(`/sys/block/loop${number}/loop/backing_file`);
}
