/**
 * The devices and their lives, as the events tell. A life is (devno, diskseq): from the attaching of a backing file
 * to its detaching. Seeded from sysfs, so that a device that was there before the agent is known too.
 */
import type { LoopEvent } from '../events/decode.js';
import type { Container } from '../identity/container.js';
import {
  type Caller,
  type IoctlEvent,
  LOOP_COMMAND,
  LOOP_STATE,
  type LoopConfigState,
  type OwnerEntry,
  UEVENT_ACTION,
  UEVENT_SUBSYSTEM,
  type UeventEvent,
  VERDICT,
} from '../kernel/abi.js';
import { diskName } from './devno.js';
import { isOwned, ownerClass, ownerOf, USERNS_INITIAL, USERNS_NONE } from './owners.js';
import type { SysfsLoop } from './sysfs.js';

export interface Life {
  diskseq: bigint;
  /** The user namespace that attached the file; USERNS_NONE if that was not seen. */
  holder: bigint;
  /** Who attached it; undefined for a life that is older than the agent. */
  caller: Caller | undefined;
  /** The holder's; undefined if it is not known. */
  container: Container | undefined;
  backing: { dev: number; inode: bigint; path: string };
  config: { offset: bigint; sizelimit: bigint; flags: number; blockSize: number };
  /** CLOCK_BOOTTIME; 0n if that was not seen. */
  beganBootNs: bigint;
}

export interface Device {
  devno: number;
  name: string;
  /** Of the newest life that an event told of. */
  diskseq: bigint;
  life: Life | undefined;
  /** Has the host been told of the device, and is what it was last told still so? Hand-over depends on it. */
  host: { sawDevice: boolean; sawLife: boolean };
}

/** What an event changed, beyond what it says itself. */
export interface Change {
  device: Device | undefined;
  /** The life that ended with this event. */
  ended: Life | undefined;
}

export interface Registry {
  /** `owners`: what an earlier agent left; what was hidden then, the host has not been told. */
  seed(loops: readonly SysfsLoop[], owners: ReadonlyMap<number, OwnerEntry>): void;
  /** `container`: the caller's. */
  apply(event: LoopEvent, container?: Container): Change;
  get(devno: number): Device | undefined;
  size(): number;
}

/** LO_FLAGS_AUTOCLEAR of include/uapi/linux/loop.h; LOOP_CLR_FD sets it too. The others are below. */
const AUTOCLEAR = 4;

const BEGINS_LIFE: ReadonlySet<number> = new Set([LOOP_COMMAND.LOOP_CONFIGURE, LOOP_COMMAND.LOOP_SET_FD]);

export function createRegistry(partShift: number): Registry {
  const devices = new Map<number, Device>();
  // The remove uevent comes before the return of the LOOP_CTL_REMOVE that causes it.
  const removing = new Map<number, Device>();

  const newDevice = (devno: number): Device => ({
    devno,
    name: diskName(devno, partShift),
    diskseq: 0n,
    life: undefined,
    host: { sawDevice: false, sawLife: false },
  });

  const demand = (devno: number): Device => {
    let device = devices.get(devno);
    if (device === undefined) {
      device = newDevice(devno);
      devices.set(devno, device);
      removing.delete(devno);
    }
    return device;
  };

  const applyIoctl = (
    record: IoctlEvent,
    path: string | undefined,
    container: Container | undefined,
  ): Change => {
    if (record.devno === 0) return { device: undefined, ended: undefined };
    if (record.command === LOOP_COMMAND.LOOP_CTL_REMOVE && record.result >= 0) return remove(record.devno);
    // A number that the caller made up must not grow the registry.
    const device = record.result < 0 ? devices.get(record.devno) : demand(record.devno);
    if (device !== undefined && record.after.diskseq > 0n) device.diskseq = record.after.diskseq;
    if (device === undefined || record.result < 0) return { device, ended: undefined };
    if (BEGINS_LIFE.has(record.command)) device.life = lifeOf(record, path, container);
    else if (record.command === LOOP_COMMAND.LOOP_CLR_FD && record.after.state === LOOP_STATE.UNBOUND)
      return { device, ended: endLife(device) };
    else if (device.life) updateLife(device.life, record, path);
    return { device, ended: undefined };
  };

  const remove = (devno: number): Change => {
    const device = devices.get(devno) ?? removing.get(devno) ?? newDevice(devno);
    devices.delete(devno);
    removing.delete(devno);
    return { device, ended: undefined };
  };

  const applyUevent = (record: UeventEvent): Change => {
    const isRemoval = record.action === UEVENT_ACTION.REMOVE && record.wholeDisk === 1;
    const device = isRemoval ? devices.get(record.devno) : demand(record.devno);
    if (device === undefined) return { device, ended: undefined };
    // With what is beneath the disk.
    const [name = ''] = record.disk.split('/');
    if (name !== '') device.name = name;
    if (isRemoval) {
      devices.delete(record.devno);
      removing.set(record.devno, device);
    }
    if (record.diskseq > 0n) device.diskseq = record.diskseq;
    if (record.subsystem === UEVENT_SUBSYSTEM.BLOCK && record.wholeDisk === 1) noteHost(device, record);
    const ended = isRemoval || endsLife(record, device.life) ? endLife(device) : undefined;
    // Of a life older than the agent only the owner map knows the holder.
    if (ended?.holder === USERNS_NONE) ended.holder = record.holderEnded;
    return { device, ended };
  };

  return {
    seed(loops, owners) {
      for (const loop of loops) {
        const device = demand(loop.devno);
        const entry = owners.get(loop.devno);
        const bound = loop.backing !== null;
        device.diskseq = loop.diskseq;
        device.life = bound ? adoptedLife(loop, entry?.holder ?? USERNS_NONE) : undefined;
        device.host = {
          sawDevice: !isOwned(ownerOf(entry, false).class),
          sawLife: bound && !isOwned(ownerOf(entry, bound).class),
        };
      }
    },
    apply: (event, container) =>
      event.kind === 'ioctl'
        ? applyIoctl(event.record, event.backingPath, container)
        : applyUevent(event.record),
    get: (devno) => devices.get(devno),
    size: () => devices.size,
  };
}

/**
 * __loop_clr_fd sends `change` after the file has gone, while the state is still rundown. Of a device that is not in
 * the owner map the state is not known and reads as unbound; a `change` then ends a life that was to end by itself.
 */
function endsLife(record: UeventEvent, life: Life | undefined): boolean {
  const { action, synthetic, wholeDisk, state, holderEnded } = record;
  if (wholeDisk !== 1 || action !== UEVENT_ACTION.CHANGE || synthetic !== 0) return false;
  if (holderEnded !== USERNS_NONE || state === LOOP_STATE.RUNDOWN) return true;
  return state === LOOP_STATE.UNBOUND && life !== undefined && (life.config.flags & AUTOCLEAR) !== 0;
}

function noteHost(device: Device, { verdict, action, owner }: UeventEvent): void {
  if (verdict !== VERDICT.DELIVER) return;
  if (action === UEVENT_ACTION.ADD) device.host.sawDevice = true;
  if (action === UEVENT_ACTION.CHANGE)
    device.host.sawLife = owner !== USERNS_NONE && owner !== USERNS_INITIAL;
}

function endLife(device: Device): Life | undefined {
  const ended = device.life;
  device.life = undefined;
  return ended;
}

function lifeOf(record: IoctlEvent, path: string | undefined, container: Container | undefined): Life {
  return {
    diskseq: record.after.diskseq,
    holder: isContainer(record) ? record.ownerAfter : record.caller.userns.id,
    caller: record.caller,
    container,
    ...stateOf(record.after, path ?? ''),
    beganBootNs: record.header.bootNs,
  };
}

/** The caller is in one that has no user namespace of its own: only the owner says so. */
function isContainer({ ownerAfter }: IoctlEvent): boolean {
  return ownerClass(ownerAfter) === 'container';
}

function updateLife(life: Life, { after }: IoctlEvent, path: string | undefined): void {
  if (after.backingDev === 0) return;
  Object.assign(life, stateOf(after, path ?? life.backing.path));
}

function stateOf(state: LoopConfigState, path: string): Pick<Life, 'backing' | 'config'> {
  return {
    backing: { dev: state.backingDev, inode: state.backingInode, path },
    config: {
      offset: state.offset,
      sizelimit: state.sizelimit,
      flags: state.flags,
      blockSize: state.blockSize,
    },
  };
}

function adoptedLife({ diskseq, backing, readOnly }: SysfsLoop, holder: bigint): Life {
  return {
    diskseq,
    holder,
    caller: undefined,
    container: undefined,
    backing: { dev: 0, inode: 0n, path: backing?.path ?? '' },
    config: {
      offset: BigInt(backing?.offset ?? 0),
      sizelimit: BigInt(backing?.sizelimit ?? 0),
      flags: flagsOf(readOnly, backing),
      blockSize: 0,
    },
    beganBootNs: 0n,
  };
}

function flagsOf(readOnly: boolean, backing: SysfsLoop['backing']): number {
  return (
    (readOnly ? 1 : 0) |
    (backing?.autoclear ? AUTOCLEAR : 0) |
    (backing?.partscan ? 8 : 0) |
    (backing?.dio ? 16 : 0)
  );
}
