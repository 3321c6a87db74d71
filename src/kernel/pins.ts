/**
 * What outlives the agent, on a BPF file system: the gates that are attached, the state that every version shares, and
 * a folder for each record layout with the ring and the counters.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createError, reasonOf } from '../errors.js';
import { LAYOUT_HASH, STATE_HASH } from './abi.js';
import { removeGates } from './gates.js';
import type { BpfLink, BpfMap, BpfProgram, NativeAddon, NativeError } from './native.js';
import type { LoadedPrograms } from './programs.js';

/** BPF_FS_MAGIC of include/uapi/linux/magic.h. */
export const BPFFS_MAGIC = 0xcafe4a11;
export const BPFFS_MOUNT_POINT = '/sys/fs/bpf';
/** Of bpf/gates.bpf.c: what gates expect of programs and agent. One more gate beside them changes nothing of that. */
const GATES_VERSION = 1;

const STATE_MAPS = [
  'owners',
  'userns',
  'userns_stamps',
  'inflight',
  'calls',
  'calls_by_thread',
  'uevents_seen',
  'allowed_receivers',
  'receiver_containers',
  'stated_owners',
  'disks',
  'stack_links',
  'claims',
];
/** Can be made anew at a start (src/owner-recovery.ts). */
const RECOVERABLE: readonly string[] = ['owners'];
/** Pinned a second time beside the gates, which go on with it whatever becomes of its pin. */
const TWICE = 'owners';
/** Of one name, that are kept for a person to look at. */
const ASIDE_MAX = 4;
const LAYOUT_MAPS = [
  'settings',
  'acting_build',
  'load_report',
  'record_budgets',
  'listener_slots',
  'budgets',
  'aggregates',
  'aggregate_counts',
  'lost_cookies',
  'events',
  'receiver_events',
  'record_seq',
  'event_counts',
  'drop_counts',
  'ioctl_counts',
  'ioctl_durations',
  'uevent_counts',
  'delivery_counts',
  'canary_counts',
];

export type Pinnable = BpfProgram | BpfLink;

export interface Pins {
  /** The maps an earlier agent left, by name. */
  readonly found: ReadonlyMap<string, BpfMap>;
  /** Names of those that a start does without (RECOVERABLE), and why they cannot be opened as maps. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** The owners, by their pin beside the gates; undefined if that leads to no map. */
  readonly ownersAgain: BpfMap | undefined;
  /** For openGates. */
  readonly gatesFolder: string;
  /** Of other layouts: what waits in them cannot be read any more. */
  readonly foreignRings: readonly BpfMap[];
  readonly foreignAggregates: readonly BpfMap[];
  /** Has `keep` move the pin away; the caller closes the map. `instead` takes its place among those found, else a new map will. */
  setAside(name: string, instead?: BpfMap): void;
  /** Pins the maps that were not there yet. Returns where it has moved what was set aside, by name. */
  keep(loaded: LoadedPrograms): ReadonlyMap<string, string>;
  /** Pins the owners beside the gates. To be called when the programs that use them act. */
  keepOwnersAgain(owners: BpfMap): void;
  /** Pins what the agent itself uses, in the place of what an earlier load has left: the program on its listener, and iterators. */
  keepForAgent(used: ReadonlyMap<string, Pinnable>): void;
  /** One of `keepForAgent`. Throws ENOENT if it is not there. */
  openProgram(name: string): BpfProgram;
  openIterator(name: string): BpfLink;
  /** After the switch to this agent's programs: nothing writes to the maps of other layouts any more. */
  dropOtherLayouts(): void;
  /** Whether the file system still has them: it may be unmounted. */
  arePresent(): boolean;
  /** Takes back what `keep` and `keepForAgent` did, after a start that failed. */
  undo(): void;
  /** Pins stay. */
  close(): void;
}

/** Mounts bpffs on /sys/fs/bpf if `root` is beneath it and nothing is mounted. @throws ERR_BPFFS_UNAVAILABLE, ERR_FOREIGN_PIN */
export function openPins(native: NativeAddon, root: string): Pins {
  ensureBpffs(native, root);
  const stateFolder = join(root, `state-${hex(STATE_HASH)}`);
  const layoutFolder = join(root, hex(LAYOUT_HASH));
  const gatesFolder = join(root, `gates-${GATES_VERSION}`);
  refuseOtherState(root, stateFolder);
  const places = [
    ...STATE_MAPS.map((name) => ({ name, path: join(stateFolder, name) })),
    ...LAYOUT_MAPS.map((name) => ({ name, path: join(layoutFolder, name) })),
  ];
  const created: string[] = [];
  const moved = new Map<string, { from: string; to: string }>();
  const found = new Map<string, BpfMap>();
  const unreadable = new Map<string, string>();
  for (const { name, path } of places) {
    if (!existsSync(path)) continue;
    try {
      found.set(name, openMap(native, path));
    } catch (error) {
      // What this process may not open says nothing of the pin.
      if (!RECOVERABLE.includes(name) || (error as NativeError).code !== 'ERR_FOREIGN_PIN') throw error;
      unreadable.set(name, reasonOf(error));
    }
  }
  const againPath = join(gatesFolder, TWICE);
  const ownersAgain = openAgain(native, againPath);
  const asideFolder = join(root, 'quarantine');
  const setAside = new Set<string>();
  const others = otherLayouts(root, [stateFolder, layoutFolder, gatesFolder]);
  const agentsFolder = join(layoutFolder, 'agent');
  const openOthers = (name: string): BpfMap[] =>
    others
      .map((folder) => join(folder, name))
      .filter(existsSync)
      .map((path) => openMap(native, path));
  const foreignRings = openOthers('events');
  const foreignAggregates = openOthers('aggregates');
  return {
    found,
    unreadable,
    ownersAgain,
    gatesFolder,
    keepForAgent(used) {
      rmSync(agentsFolder, { recursive: true, force: true });
      mkdirSync(agentsFolder, { recursive: true, mode: 0o700 });
      for (const [name, each] of used) each.pin(join(agentsFolder, name));
    },
    openProgram: (name) => native.openPinnedProgram(join(agentsFolder, name)),
    openIterator: (name) => native.openPinnedLink(join(agentsFolder, name)),
    foreignRings,
    foreignAggregates,
    setAside(name, instead) {
      found.delete(name);
      if (instead) found.set(name, instead);
      setAside.add(name);
    },
    keep(loaded) {
      for (const folder of [stateFolder, layoutFolder, gatesFolder])
        mkdirSync(folder, { recursive: true, mode: 0o700 });
      for (const { name, path: from } of places) {
        if (!setAside.has(name)) continue;
        const to = nextAside(asideFolder, name);
        renameSync(from, to);
        moved.set(name, { from, to });
      }
      for (const { name, path } of places) {
        if (existsSync(path) || !loaded.hasMap(name)) continue;
        loaded.map(name).pin(path);
        created.push(path);
      }
      return new Map([...moved].map(([name, { to }]) => [name, to]));
    },
    keepOwnersAgain(owners) {
      if (ownersAgain?.id === owners.id) return;
      // Who is killed in between leaves the one or the other.
      const next = `${againPath}-next`;
      rmSync(next, { force: true });
      owners.pin(next);
      renameSync(next, againPath);
    },
    dropOtherLayouts() {
      for (const folder of others) rmSync(folder, { recursive: true, force: true });
    },
    arePresent: () => places.some(({ path }) => existsSync(path)),
    undo() {
      for (const path of created) unlinkSync(path);
      rmSync(agentsFolder, { recursive: true, force: true });
      for (const { from, to } of moved.values()) renameSync(to, from);
      // Of a first start only: the gates of an earlier agent go on with what they had.
      if (found.size === 0) removeGates(gatesFolder);
      for (const folder of [stateFolder, layoutFolder, gatesFolder, asideFolder, root]) removeIfEmpty(folder);
    },
    close() {
      for (const map of [...found.values(), ...foreignRings, ...foreignAggregates]) map.close();
      if (ownersAgain && ownersAgain !== found.get(TWICE)) ownersAgain.close();
    },
  };
}

/** A path for one more; the oldest goes where there are many: each holds memory of the kernel. */
function nextAside(folder: string, name: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const numbers = readdirSync(folder)
    .filter((each) => each.startsWith(`${name}-`))
    .map((each) => Number(each.slice(name.length + 1)))
    .filter(Number.isSafeInteger)
    .sort((a, b) => a - b);
  for (const number of numbers.slice(0, Math.max(0, numbers.length - ASIDE_MAX + 1)))
    unlinkSync(join(folder, `${name}-${number}`));
  // No dot: bpffs takes none in a name.
  return join(folder, `${name}-${(numbers.at(-1) ?? 0) + 1}`);
}

/** Every folder of gates there is, for their removal. */
export function gateFolders(root: string): string[] {
  return existsSync(root)
    ? readdirSync(root)
        .filter((name) => name.startsWith('gates-'))
        .map((name) => join(root, name))
    : [];
}

/** Removes every pin under `root`; false if there was none. */
export function removePins(root: string): boolean {
  const there = existsSync(root);
  // What calls before what is called.
  for (const folder of gateFolders(root)) removeGates(folder);
  rmSync(root, { recursive: true, force: true });
  return there;
}

/** What is no map there is replaced by the next load: it only makes good for the other pin. */
function openAgain(native: NativeAddon, path: string): BpfMap | undefined {
  try {
    return existsSync(path) ? native.openPinnedMap(path) : undefined;
  } catch {
    return undefined;
  }
}

function openMap(native: NativeAddon, path: string): BpfMap {
  try {
    return native.openPinnedMap(path);
  } catch (error) {
    if ((error as NativeError).code === 'EPERM')
      throw createError('ERR_BPF_REFUSED', { reason: 'before Linux 5.19 opening a pin takes CAP_BPF' });
    throw createError('ERR_FOREIGN_PIN', { path, reason: reasonOf(error) }, { cause: error });
  }
}

/** The state of an incompatible version says who owns what, and only that version can read it. */
function refuseOtherState(root: string, own: string): void {
  if (!existsSync(root)) return;
  const other = readdirSync(root)
    .filter((name) => name.startsWith('state-'))
    .map((name) => join(root, name))
    .find((path) => path !== own);
  if (other)
    throw createError('ERR_FOREIGN_PIN', {
      path: other,
      reason: 'it is the state of an incompatible version',
    });
}

function otherLayouts(root: string, own: readonly string[]): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .filter((name) => /^[0-9a-f]{16}$/.test(name))
    .map((name) => join(root, name))
    .filter((path) => !own.includes(path));
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

function hex(hash: bigint): string {
  return hash.toString(16).padStart(16, '0');
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Not empty, or never made: another agent's pins are none of ours.
  }
}
