/** The one full view of a device: sysfs, the owner map and the registry's life, joined when somebody asks. */
import type { Container } from '../identity/container.js';
import type { OwnerEntry, UsernsEntry } from '../kernel/abi.js';
import { devnoText } from './devno.js';
import { chainsBelow, type SysfsDisk } from './disks.js';
import { isOwned, type Owner, type OwnerClass, type OwnerRole, ownerOf } from './owners.js';
import type { Life, Registry } from './registry.js';
import type { SysfsLoop } from './sysfs.js';

export interface UsernsView {
  id: bigint;
  inum: number;
  level: number;
  ownerUid: number;
  alive: boolean;
}

/** Of a container that has no user namespace of its own. */
export interface PidnsView {
  id: bigint;
  inum: number;
  level: number;
  alive: boolean;
}

export interface BackingView {
  /** Where it is longer than sysfs tells: its end, as the audit log has it. */
  path: string;
  /** Bytes. */
  offset: number;
  sizelimit: number;
  autoclear: boolean;
  partscan: boolean;
  directIo: boolean;
  /** Of the file: its device, `8:1`, and inode; null for a life that is older than the agent. */
  file: { devno: string; inode: bigint } | null;
}

export interface DeviceView {
  name: string;
  devno: string;
  diskseq: bigint;
  /** Of a disk of another driver: whether it has a size. */
  state: 'bound' | 'unbound';
  sizeBytes: number;
  /** Of its queue. */
  logicalBlockBytes: number;
  readOnly: boolean;
  partitions: string[];
  /** What it stands on, from there down to the lowest, a row for each way: `[['loop5p1', 'loop5']]`. Empty for a loop device. */
  on: string[][];
  backing: BackingView | null;
  owner: {
    class: OwnerClass;
    as: OwnerRole | null;
    /** Null unless the class is `userns`. */
    userns: UsernsView | null;
    /** Null unless it is `container`. */
    pidns: PidnsView | null;
  };
  /** The owner's namespace is gone. */
  orphan: boolean;
  /** Who attached the backing file, if the agent saw it. */
  attachedBy: { pid: number; comm: string; uid: number } | null;
  /** When: CLOCK_BOOTTIME, nanoseconds; null like `attachedBy`. */
  attachedBootNs: bigint | null;
  /** The holder's, or whatever its cgroup is; null if nothing is attached, or nobody knows. */
  container: Container | null;
}

export interface Ownership {
  owners: ReadonlyMap<number, OwnerEntry>;
  userNamespaces: ReadonlyMap<bigint, UsernsEntry>;
  living: ReadonlySet<bigint>;
}

/** Undefined: the owner is the host, or not known. */
export function ownerIdOf({ userns, pidns }: DeviceView['owner']): bigint | undefined {
  return (userns ?? pidns)?.id;
}

export function viewDevice(loop: SysfsLoop, ownership: Ownership, registry: Registry): DeviceView {
  const owner = ownerOf(ownership.owners.get(loop.devno), loop.backing !== null);
  const life = registry.get(loop.devno)?.life;
  const { backing } = loop;
  return {
    name: loop.name,
    devno: devnoText(loop.devno),
    diskseq: loop.diskseq,
    state: backing ? 'bound' : 'unbound',
    sizeBytes: loop.sizeBytes,
    logicalBlockBytes: loop.logicalBlockBytes,
    readOnly: loop.readOnly,
    partitions: loop.partitions,
    on: [],
    backing: backing && viewBacking(backing, life),
    ...viewOwner(owner, ownership),
    attachedBy:
      life?.caller && backing ? { pid: life.caller.pid, comm: life.caller.comm, uid: life.caller.uid } : null,
    attachedBootNs: life?.caller && backing ? life.beganBootNs : null,
    container: (backing && life?.container) ?? null,
  };
}

/** Of a disk of another driver: there is no file, and nobody has attached one. */
export function viewDisk(disk: SysfsDisk, ownership: Ownership): DeviceView {
  const { name, diskseq, sizeBytes, logicalBlockBytes, readOnly, partitions } = disk;
  const owner = ownerOf(ownership.owners.get(disk.devno), true);
  return {
    ...{ name, diskseq, sizeBytes, logicalBlockBytes, readOnly, partitions },
    devno: devnoText(disk.devno),
    state: sizeBytes > 0 ? 'bound' : 'unbound',
    on: chainsBelow(disk),
    backing: null,
    ...viewOwner(owner, ownership),
    attachedBy: null,
    attachedBootNs: null,
    container: null,
  };
}

function viewOwner(owner: Owner, ownership: Ownership): Pick<DeviceView, 'owner' | 'orphan'> {
  return {
    owner: {
      class: owner.class,
      as: owner.as,
      userns: owner.class === 'userns' ? viewUserns(owner.id, ownership) : null,
      pidns: owner.class === 'container' ? viewPidns(owner.id, ownership) : null,
    },
    orphan: isOwned(owner.class) && !ownership.living.has(owner.id),
  };
}

function viewBacking(
  { path, offset, sizelimit, autoclear, partscan, dio }: NonNullable<SysfsLoop['backing']>,
  life: Life | undefined,
): BackingView {
  const seen = life !== undefined && life.backing.inode > 0n;
  return {
    path: path || (life?.backing.path ?? ''),
    offset,
    sizelimit,
    autoclear,
    partscan,
    directIo: dio,
    file: seen ? { devno: devnoText(life.backing.dev), inode: life.backing.inode } : null,
  };
}

function viewPidns(id: bigint, { userNamespaces, living }: Ownership): PidnsView {
  const known = userNamespaces.get(id);
  return { id, inum: known?.inum ?? 0, level: known?.level ?? 0, alive: living.has(id) };
}

function viewUserns(id: bigint, { userNamespaces, living }: Ownership): UsernsView {
  const known = userNamespaces.get(id);
  return {
    id,
    inum: known?.inum ?? 0,
    level: known?.level ?? 0,
    ownerUid: known?.ownerUid ?? 0,
    alive: living.has(id),
  };
}
