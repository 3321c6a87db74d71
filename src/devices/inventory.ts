/** What devices there are, and whose: asked by scrapes, the API and the commands. */
import type { ContainerResolver } from '../identity/resolver.js';
import type { UsernsEntry } from '../kernel/abi.js';
import type { BpfMap, NativeAddon } from '../kernel/native.js';
import { isLoop } from './devno.js';
import { diskOf, readDisk, type SysfsDisk } from './disks.js';
import { livingUserNamespaces, populatedUserNamespaces } from './namespaces.js';
import { ownerOf, readOwners, readUserNamespaces } from './owners.js';
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
  ownership(): Ownership;
}

/** Of what the host is asked: sysfs and /proc. */
export interface HostView {
  listLoops(): SysfsLoop[];
  readLoop(name: string): SysfsLoop | undefined;
  readDisk(name: string): SysfsDisk | undefined;
  diskOf(devno: number): SysfsDisk | undefined;
  populatedUserNamespaces(): Set<number>;
}

/** A walk over /proc is the dear part; a namespace that died is noticed this much later. */
const LIVING_MAX_AGE_MS = 5000;

export function thisHost(native: Pick<NativeAddon, 'listNamespaces'>): HostView {
  let populated: Set<number> = new Set();
  let populatedAtMs = Number.NEGATIVE_INFINITY;
  return {
    listLoops,
    readLoop,
    readDisk,
    diskOf,
    populatedUserNamespaces() {
      if (performance.now() - populatedAtMs > LIVING_MAX_AGE_MS) {
        populated = populatedUserNamespaces(native);
        populatedAtMs = performance.now();
      }
      return populated;
    },
  };
}

export function createInventory(
  maps: { owners: BpfMap; userns: BpfMap },
  registry: Registry,
  containers: Pick<ContainerResolver, 'containerOfUserns'>,
  host: HostView,
): Inventory {
  const living = (known: ReadonlyMap<bigint, UsernsEntry>, needed: boolean): Set<bigint> =>
    needed ? livingUserNamespaces(known, host.populatedUserNamespaces()) : new Set();

  const ownership = (): Ownership => {
    const owners = readOwners(maps.owners);
    const userNamespaces = readUserNamespaces(maps.userns);
    const someOwned = [...owners.values()].some((entry) => ownerOf(entry, true).class === 'userns');
    return { owners, userNamespaces, living: living(userNamespaces, someOwned) };
  };

  const view = (loop: SysfsLoop, now: Ownership): DeviceView => {
    const shown = viewDevice(loop, now, registry);
    const life = registry.get(loop.devno)?.life;
    // Of a life older than the agent: kept from when somebody first asks.
    if (shown.state === 'bound' && life && life.container === undefined && shown.owner.userns?.alive) {
      life.container = containers.containerOfUserns(shown.owner.userns.inum);
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
        .filter(([devno, entry]) => !isLoop(devno) && ownerOf(entry, true).class === 'userns')
        .flatMap(([devno]) => host.diskOf(devno) ?? [])
        .map((disk) => viewDisk(disk, now));
    },
    device(name) {
      const loop = host.readLoop(name);
      if (loop) return view(loop, ownership());
      const disk = host.readDisk(name);
      return disk && viewDisk(disk, ownership());
    },
    ownership,
  };
}
