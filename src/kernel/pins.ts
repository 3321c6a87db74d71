/** What outlives the agent: the owner maps, pinned on a BPF file system under a folder for each record layout. */
import { existsSync, mkdirSync, rmdirSync, rmSync, statfsSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createError, reasonOf } from '../errors.js';
import { LAYOUT_HASH } from './abi.js';
import type { BpfMap, NativeAddon } from './native.js';
import type { LoadedPrograms } from './programs.js';

/** BPF_FS_MAGIC of include/uapi/linux/magic.h. */
const BPFFS_MAGIC = 0xcafe4a11;
const BPFFS_MOUNT_POINT = '/sys/fs/bpf';

export const PINNED_MAPS = ['owners', 'userns', 'userns_stamps'] as const;

export interface Pins {
  /** The maps an earlier agent left, by name. */
  readonly found: ReadonlyMap<string, BpfMap>;
  /** Pins what was not there yet. */
  keep(loaded: LoadedPrograms): void;
  /** Takes back what `keep` did, after a start that failed. */
  undo(): void;
}

/** Mounts bpffs on /sys/fs/bpf if `root` is beneath it and nothing is mounted. @throws ERR_BPFFS_UNAVAILABLE */
export function openPins(native: NativeAddon, root: string): Pins {
  const folder = join(root, LAYOUT_HASH.toString(16).padStart(16, '0'));
  ensureBpffs(native, root);
  const created: string[] = [];
  const found = new Map<string, BpfMap>();
  for (const name of PINNED_MAPS) {
    const path = join(folder, name);
    if (existsSync(path)) found.set(name, native.openPinnedMap(path));
  }
  return {
    found,
    keep(loaded) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      for (const name of PINNED_MAPS) {
        if (found.has(name)) continue;
        const path = join(folder, name);
        loaded.map(name).pin(path);
        created.push(path);
      }
    },
    undo() {
      for (const path of created) unlinkSync(path);
      removeIfEmpty(folder);
      removeIfEmpty(root);
    },
  };
}

/** Removes every pin under `root`; false if there was none. */
export function removePins(root: string): boolean {
  const there = existsSync(root);
  rmSync(root, { recursive: true, force: true });
  return there;
}

function ensureBpffs(native: NativeAddon, root: string): void {
  const parent = dirname(root);
  try {
    if (isBpffs(parent)) return;
    if (parent === BPFFS_MOUNT_POINT) native.mountBpffs(parent);
  } catch (error) {
    throw createError('ERR_BPFFS_UNAVAILABLE', { path: root, reason: reasonOf(error) }, { cause: error });
  }
  if (!isBpffs(parent))
    throw createError('ERR_BPFFS_UNAVAILABLE', {
      path: root,
      reason: `${parent} is not on a BPF file system`,
    });
}

function isBpffs(path: string): boolean {
  return statfsSync(path).type === BPFFS_MAGIC;
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Not empty, or never made: another agent's pins are none of ours.
  }
}
