/** What devices there are, and whose: asked by scrapes, the API and the commands. */
import type { ContainerResolver } from '../identity/resolver.js';
import type { UsernsEntry } from '../kernel/abi.js';
import type { BpfMap, NativeAddon } from '../kernel/native.js';
import { isLoop } from './devno.js';
import { diskOf, readDisk, type SysfsDisk } from './disks.js';
import { isInUse, type NamespaceUse, type NamespaceWalk } from './namespace-use.js';
import { livingUserNamespaces, populatedPidNamespaces } from './namespaces.js';
import { isOwned, ownerClass, ownerOf, readOwners, readUserNamespaces } from './owners.js';
import type { Registry } from './registry.js';
import { listLoops, readLoop, type SysfsLoop } from './sysfs.js';
import { type DeviceView, type Ownership, viewDevice, viewDisk } from './view.js';

export interface Inventory {
  /** Loop devices. */
  devices(): DeviceView[];
  /** Those of other drivers that a user namespace owns. */
  disks(): DeviceView[];
  /** Of any driver. Undefined if there is none of that name. */
  device(name: string): DeviceView | undefined;
  /** Those whose owner is dead now: looked for anew, and only among the owned ones. */
  orphans(): DeviceView[];
  ownership(): Ownership;
}

/** Whether a user namespace is in use, by its id among those that are known, which are the same each time. */
export type IsNamespaceInUse = (id: bigint, known: ReadonlyMap<bigint, UsernsEntry>) => boolean;

/** Of what the host is asked. */
export interface HostView {
  listLoops(): SysfsLoop[];
  readLoop(name: string): SysfsLoop | undefined;
  readDisk(name: string): SysfsDisk | undefined;
  diskOf(devno: number): SysfsDisk | undefined;
  /** As it is now, or was at most so many milliseconds ago. To be asked before the known ones are read. */
  lookForUsers(maxAgeMs: number): IsNamespaceInUse;
}

/** The walk is the dear part; a namespace that died is noticed this much later. */
const USERS_MAX_AGE_MS = 5000;

export function thisHost(
  use: Pick<NamespaceUse, 'walk'>,
  native: Pick<NativeAddon, 'listNamespaces'>,
): HostView {
  let walk: NamespaceWalk | undefined;
  let walkedAtMs = 0;
  let pids: Set<number> | undefined;
  return {
    listLoops,
    readLoop,
    readDisk,
    diskOf,
    lookForUsers(maxAgeMs) {
      if (walk === undefined || performance.now() - walkedAtMs > maxAgeMs) {
        walk = use.walk();
        walkedAtMs = performance.now();
        pids = undefined;
      }
      const latest = walk;
      let containers: Set<bigint> | undefined;
      return (id, known) => {
        const entry = known.get(id);
        if (ownerClass(id) !== 'container') return isInUse(entry, latest);
        // A rootful container is its pid namespace, which ends with its first process, and lets nobody in again.
        if (entry === undefined || entry.firstSeenBootNs >= latest.startBootNs) return true;
        pids ??= populatedPidNamespaces(native);
        containers ??= livingUserNamespaces(known, new Set(), pids);
        return containers.has(id);
      };
    },
  };
}

export function createInventory(
  maps: { owners: BpfMap; userns: BpfMap },
  registry: Registry,
  containers: Pick<ContainerResolver, 'containerOfUserns' | 'containerOfPidns'>,
  host: HostView,
): Inventory {
  const ownershipAt = (maxAgeMs: number): Ownership => {
    const owners = readOwners(maps.owners);
    const ids = new Set([...owners.values()].flatMap(({ holder, creator }) => [holder, creator]));
    const someOwned = [...owners.values()].some((entry) => isOwned(ownerOf(entry, true).class));
    const inUse = someOwned ? host.lookForUsers(maxAgeMs) : () => true;
    const userNamespaces = readUserNamespaces(maps.userns);
    const living = new Set([...ids].filter((id) => inUse(id, userNamespaces)));
    return { owners, userNamespaces, living };
  };
  const ownership = (): Ownership => ownershipAt(USERS_MAX_AGE_MS);

  const view = (loop: SysfsLoop, now: Ownership): DeviceView => {
    const shown = viewDevice(loop, now, registry);
    const life = registry.get(loop.devno)?.life;
    // Of a life older than the agent: kept from when somebody first asks.
    const { userns, pidns } = shown.owner;
    if (shown.state === 'bound' && life && life.container === undefined) {
      if (userns?.alive) life.container = containers.containerOfUserns(userns.inum);
      if (pidns?.alive) life.container = containers.containerOfPidns(pidns.inum);
      shown.container = life.container ?? null;
    }
    return shown;
  };

  return {
    devices() {
      const now = ownership();
      return host.listLoops().map((loop) => view(loop, now));
    },
    disks() {
      const now = ownership();
      return [...now.owners]
        .filter(([devno, entry]) => !isLoop(devno) && isOwned(ownerOf(entry, true).class))
        .flatMap(([devno]) => host.diskOf(devno) ?? [])
        .map((disk) => viewDisk(disk, now));
    },
    device(name) {
      const loop = host.readLoop(name);
      if (loop) return view(loop, ownership());
      const disk = host.readDisk(name);
      return disk && viewDisk(disk, ownership());
    },
    orphans() {
      const now = ownershipAt(0);
      return [...now.owners].flatMap(([devno, { holder, creator }]) => {
        if (now.living.has(holder) && now.living.has(creator)) return [];
        const loop = host.readLoop(registry.get(devno)?.name ?? '');
        const shown = loop && view(loop, now);
        return shown?.orphan ? [shown] : [];
      });
    },
    ownership,
  };
}
