/** What devices there are, and whose: asked by scrapes, the API and the commands. */
import type { UsernsEntry } from '../kernel/abi.js';
import type { BpfMap } from '../kernel/native.js';
import { livingUserNamespaces, populatedUserNamespaces } from './namespaces.js';
import { ownerOf, readOwners, readUserNamespaces } from './owners.js';
import type { Registry } from './registry.js';
import { listLoops, readLoop } from './sysfs.js';
import { type DeviceView, type Ownership, viewDevice } from './view.js';

export interface Inventory {
  devices(): DeviceView[];
  /** Undefined if there is none of that name. */
  device(name: string): DeviceView | undefined;
  ownership(): Ownership;
}

/** A walk over /proc is the dear part; a namespace that died is noticed this much later. */
const LIVING_MAX_AGE_MS = 5000;

export function createInventory(maps: { owners: BpfMap; userns: BpfMap }, registry: Registry): Inventory {
  let populated: Set<number> = new Set();
  let populatedAtMs = Number.NEGATIVE_INFINITY;

  const living = (known: ReadonlyMap<bigint, UsernsEntry>, needed: boolean): Set<bigint> => {
    if (!needed) return new Set();
    if (performance.now() - populatedAtMs > LIVING_MAX_AGE_MS) {
      populated = populatedUserNamespaces();
      populatedAtMs = performance.now();
    }
    return livingUserNamespaces(known, populated);
  };

  const ownership = (): Ownership => {
    const owners = readOwners(maps.owners);
    const userNamespaces = readUserNamespaces(maps.userns);
    const someOwned = [...owners.values()].some((entry) => ownerOf(entry, true).class === 'userns');
    return { owners, userNamespaces, living: living(userNamespaces, someOwned) };
  };

  return {
    devices() {
      const now = ownership();
      return listLoops().map((loop) => viewDevice(loop, now, registry));
    },
    device(name) {
      const loop = readLoop(name);
      return loop && viewDevice(loop, ownership(), registry);
    },
    ownership,
  };
}
