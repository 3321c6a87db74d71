/** The kernel's own folder of device nodes, whatever this process sees as /dev. */
import { closeSync, lstatSync, mkdirSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createError, reasonOf } from '../errors.js';
import type { NativeAddon } from '../kernel/native.js';
import { devnoOf, devnoOfStat, LOOP_MAJOR, majorOf, minorOf } from './devno.js';

export interface NodeAttributes {
  devno: number;
  /** Permissions only. */
  mode: number;
  uid: number;
  gid: number;
}

export interface Devtmpfs {
  pathOf(name: string): string;
  /** Of a block device's node; undefined for nothing, and for anything else of that name. */
  read(name: string): NodeAttributes | undefined;
  /** Takes the node away if it is that of `devno`; false if it is not there, or not that. */
  take(name: string, devno: number): boolean;
  /** Puts one there; false if anything has the name. @throws what the kernel says */
  put(name: string, node: NodeAttributes): boolean;
  /** A path of a node that nobody looks for, for as long as `use` runs. @throws what the kernel says */
  withHiddenNode<T>(name: string, devno: number, use: (path: string) => Promise<T>): Promise<T>;
  /** @throws ERR_DEVTMPFS where no node can be put back */
  check(): void;
  close(): void;
}

/** Only root may look into it, and LVM passes over what begins with a dot. Nothing is there for longer than a call. */
const PRIVATE_FOLDER = '.loopwarden';

/** @throws ERR_DEVTMPFS */
export function openDevtmpfs(native: Pick<NativeAddon, 'openDevtmpfs' | 'makeDeviceNode'>): Devtmpfs {
  try {
    const folder = native.openDevtmpfs();
    return devtmpfsAt(native, `/proc/self/fd/${folder}`, folder);
  } catch (error) {
    throw createError('ERR_DEVTMPFS', { reason: reasonOf(error) }, { cause: error });
  }
}

function devtmpfsAt(native: Pick<NativeAddon, 'makeDeviceNode'>, root: string, folder: number): Devtmpfs {
  const pathOf = (name: string): string => join(root, name);
  const read = (path: string): NodeAttributes | undefined => {
    const status = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (!status?.isBlockDevice()) return undefined;
    return {
      devno: devnoOfStat(status.rdev),
      mode: Number(status.mode) & 0o777,
      uid: Number(status.uid),
      gid: Number(status.gid),
    };
  };
  const put = (name: string, { devno, mode, uid, gid }: NodeAttributes): boolean => {
    try {
      native.makeDeviceNode(folder, name, majorOf(devno), minorOf(devno), mode, uid, gid);
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    }
  };

  const privateFolder = (): string => {
    mkdirSync(pathOf(PRIVATE_FOLDER), { recursive: true, mode: 0o700 });
    return pathOf(PRIVATE_FOLDER);
  };
  const makeHidden = (name: string, devno: number): string => {
    const path = join(privateFolder(), name);
    put(join(PRIVATE_FOLDER, name), { devno, mode: 0o600, uid: 0, gid: 0 });
    return path;
  };
  // What an agent left there that was killed in that moment.
  rmSync(pathOf(PRIVATE_FOLDER), { recursive: true, force: true });

  return {
    pathOf,
    read: (name) => read(pathOf(name)),
    take(name, devno) {
      // First out of everybody's way, then looked at: what is removed is what was looked at.
      const [path, aside] = [pathOf(name), join(privateFolder(), name)];
      try {
        renameSync(path, aside);
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return false;
        throw error;
      }
      if (read(aside)?.devno === devno) {
        unlinkSync(aside);
        return true;
      }
      renameSync(aside, path);
      return false;
    },
    put,
    async withHiddenNode(name, devno, use) {
      const path = makeHidden(name, devno);
      try {
        return await use(path);
      } finally {
        unlinkSync(path);
      }
    },
    check() {
      try {
        unlinkSync(makeHidden('loop0', devnoOf(LOOP_MAJOR, 0)));
      } catch (error) {
        throw createError('ERR_DEVTMPFS', { reason: reasonOf(error) }, { cause: error });
      }
    },
    close() {
      rmSync(pathOf(PRIVATE_FOLDER), { recursive: true, force: true });
      closeSync(folder);
    },
  };
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
