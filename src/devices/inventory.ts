/** What devices there are, and whose: asked by scrapes, the API and the commands. */
import type { ContainerResolver } from '../identity/resolver.js';
import type { UsernsEntry } from '../kernel/abi.js';
import type { BpfMap, NativeAddon } from '../kernel/native.js';
import { livingUserNamespaces, populatedPidNamespaces, populatedUserNamespaces } from './namespaces.js';
import { isOwned, ownerClass, ownerOf, readOwners, readUserNamespaces } from './owners.js';
import type { Registry } from './registry.js';
import { listLoops, readLoop, type SysfsLoop } from './sysfs.js';
import { type DeviceView, type Ownership, viewDevice } from './view.js';

export interface Inventory {
  devices(): DeviceView[];
  /** Undefined if there is none of that name. */
  device(name: string): DeviceView | undefined;
  ownership(): Ownership;
}

/** Of what the host is asked: sysfs and /proc. */
export interface HostView {
  listLoops(): SysfsLoop[];
  readLoop(name: string): SysfsLoop | undefined;
  populatedUserNamespaces(): Set<number>;
  populatedPidNamespaces(): Set<number>;
}

/** A walk over /proc is the dear part; a namespace that died is noticed this much later. */
const LIVING_MAX_AGE_MS = 5000;

export function thisHost(native: Pick<NativeAddon, 'listNamespaces'>): HostView {
  return {
    listLoops,
    readLoop,
    populatedUserNamespaces: walkSeldom(() => populatedUserNamespaces(native)),
    populatedPidNamespaces: walkSeldom(() => populatedPidNamespaces(native)),
  };
}

function walkSeldom(walk: () => Set<number>): () => Set<number> {
  let populated: Set<number> = new Set();
  let populatedAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (performance.now() - populatedAtMs > LIVING_MAX_AGE_MS) {
      populated = walk();
      populatedAtMs = performance.now();
    }
    return populated;
  };
}

export function createInventory(
  maps: { owners: BpfMap; userns: BpfMap },
  registry: Registry,
  containers: Pick<ContainerResolver, 'containerOfUserns' | 'containerOfPidns'>,
  host: HostView,
): Inventory {
  const living = (known: ReadonlyMap<bigint, UsernsEntry>, needed: boolean): Set<bigint> => {
    if (!needed) return new Set();
    const someContainers = [...known.keys()].some((id) => ownerClass(id) === 'container');
    const pids = someContainers ? host.populatedPidNamespaces() : undefined;
    return livingUserNamespaces(known, host.populatedUserNamespaces(), pids);
  };

  const ownership = (): Ownership => {
    const owners = readOwners(maps.owners);
    const userNamespaces = readUserNamespaces(maps.userns);
    const someOwned = [...owners.values()].some((entry) => isOwned(ownerOf(entry, true).class));
    return { owners, userNamespaces, living: living(userNamespaces, someOwned) };
  };

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
    device(name) {
      const loop = host.readLoop(name);
      return loop && view(loop, ownership());
    },
    ownership,
  };
}
