/**
 * One instance: the loop devices of one container, and what its loop-control answers. Results and errnos are the
 * kernel's own (drivers/block/loop.c), and EACCES for what is another's.
 */
import type { DeviceBroker } from './broker.js';
import { ERRNO, errnoOf } from './errno.js';
import type { UsernsId } from './native.js';
import type { Numbers } from './numbers.js';
import type { Quota, QuotaClaim } from './quota.js';
import { type Turns, takeTurns } from './turns.js';

export interface InstanceSettings {
  /** Unique in all time; the name can be given again. */
  id: string;
  name: string;
  max: number;
}

export interface KeptDevice {
  number: number;
  /** Keys of the user namespaces that it is charged to. */
  userns: readonly string[];
  /** It is removed as soon as nobody has it open any more. */
  temporary?: boolean;
}

export interface InstanceParts {
  broker: DeviceBroker;
  numbers: Numbers;
  quota: Quota;
  /** Writes down which devices there are; called before a device is made, and after one has gone. */
  keep(devices: readonly KeptDevice[]): void;
  /** Whether there is a thread with this number. */
  isAlive(pid: number): boolean;
  /** Makes the node of a device appear in the instance, or go; awaited before the caller hears of it. */
  show(number: number, present: boolean): Promise<void>;
}

export interface Caller {
  /** Of its thread; 0 where it has none here. */
  pid: number;
  /** Its user namespaces below the initial one, innermost first. */
  userns: readonly UsernsId[];
}

export interface Instance {
  readonly settings: InstanceSettings;
  /** Each resolves with the ioctl's result or a negative errno. */
  getFree(caller: Caller): Promise<number>;
  add(number: number, caller: Caller): Promise<number>;
  remove(number: number): Promise<number>;
  /** A device that is in use from the start, until `settle`. */
  makeTemporary(caller: Caller): Promise<number>;
  /** From now on it is removed when it is free. */
  settle(number: number): void;
  /** Removes what is temporary and no longer in use. */
  sweep(): Promise<void>;
  /** For calls that may never return. */
  readonly inTurn: Turns;
  /** BLKRRPART. */
  rescan(number: number): Promise<number>;
  /** Removal by the node's name. */
  unlink(number: number): Promise<number>;
  devices(): { number: number; bound: boolean }[];
  /** Takes over a device of an earlier process. */
  adopt(device: KeptDevice): void;
  /** From now on everything is refused. */
  close(): void;
  /** Forgets a device that has gone. */
  drop(number: number): void;
}

interface Device extends KeptDevice {
  state: 'making' | 'ready' | 'removing';
  /** Who was told that it is free, and when. */
  handedTo: number;
  handedOutMs: number;
  /** A temporary one that is still being set up. */
  unsettled?: boolean;
}

/** losetup configures at once; who got a number this long ago, and lives, gets EBUSY and asks again. */
const HAND_OUT_MS = 2000;
/** Numbers that the host took meanwhile, by name, are passed over; so many in a row are no accident. */
const TRIES = 64;

export function createInstance(settings: InstanceSettings, parts: InstanceParts): Instance {
  const { broker, numbers, quota } = parts;
  const own = new Map<number, Device>();
  const inTurn = takeTurns();
  let closed = false;

  const claimOf = (userns: readonly string[]): QuotaClaim => ({
    instance: settings.id,
    max: settings.max,
    userns,
  });
  const keep = (): void => parts.keep([...own.values()].map(keptOf));
  const isFree = ({ number, state, temporary }: Device): boolean =>
    state === 'ready' && !temporary && broker.exists(number) && !broker.isBound(number);

  return {
    settings,
    inTurn,
    async getFree(caller) {
      if (closed) return -ERRNO.ENODEV;
      dropVanished();
      // No await up to the hand-out: two callers are not told the same while there are others.
      const free = [...own.values()].filter(isFree).sort((a, b) => a.number - b.number);
      const chosen = free.find((device) => !isTaken(device, caller.pid));
      if (chosen) return handOut(chosen, caller.pid);
      const made = await make(caller);
      const oldest = free.filter(isFree).sort((a, b) => a.handedOutMs - b.handedOutMs)[0];
      // At the limit the first to configure it has it, as in the kernel.
      return made === -ERRNO.ENOSPC && oldest ? handOut(oldest, caller.pid) : made;
    },
    async add(number, caller) {
      if (closed) return -ERRNO.ENODEV;
      if (number < 0) return make(caller);
      if (number > numbers.last) return -ERRNO.EINVAL;
      dropVanished();
      if (own.has(number)) return -ERRNO.EEXIST;
      return make(caller, number);
    },
    remove,
    async makeTemporary(caller) {
      return closed ? -ERRNO.ENODEV : make(caller, undefined, true);
    },
    settle(number) {
      const device = own.get(number);
      if (device) device.unsettled = false;
    },
    async sweep() {
      dropVanished();
      const left = [...own.values()].filter((device) => device.temporary && !device.unsettled);
      // EBUSY: open or bound.
      await Promise.all(left.map(({ number }) => remove(number)));
    },
    async rescan(number) {
      if (closed) return -ERRNO.ENODEV;
      if (number < 0) return -ERRNO.EINVAL;
      const device = own.get(number);
      if (device === undefined) return broker.exists(number) ? -ERRNO.EACCES : -ERRNO.ENODEV;
      if (device.state !== 'ready') return -ERRNO.EBUSY;
      return -(await attempted(() => inTurn(() => broker.rescan(number))));
    },
    async unlink(number) {
      const result = await remove(number);
      return result === -ERRNO.ENODEV ? -ERRNO.ENOENT : result;
    },
    devices: () => [...own.keys()].map((number) => ({ number, bound: broker.isBound(number) })),
    adopt({ number, userns, temporary = false }) {
      own.set(number, { number, userns, temporary, state: 'ready', handedTo: 0, handedOutMs: -Infinity });
      quota.restore(claimOf(userns));
    },
    close() {
      closed = true;
    },
    drop,
  };

  /** The host's root may remove any device: it then counts no longer. */
  function dropVanished(): void {
    for (const { number, state } of own.values())
      if (state === 'ready' && !broker.exists(number)) drop(number);
  }

  function isTaken({ handedTo, handedOutMs }: Device, pid: number): boolean {
    if (handedTo === pid || performance.now() - handedOutMs > HAND_OUT_MS) return false;
    return parts.isAlive(handedTo);
  }

  function handOut(device: Device, pid: number): number {
    device.handedTo = pid;
    device.handedOutMs = performance.now();
    return device.number;
  }

  async function make({ pid, userns: owner }: Caller, exactly?: number, temporary = false): Promise<number> {
    const userns = owner.map(usernsKey);
    if (!quota.charge(claimOf(userns))) return -ERRNO.ENOSPC;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const number = exactly ?? numbers.take();
      if (number === undefined) break;
      // Used before, another instance's or the host's: not for this one to have.
      if (exactly !== undefined && !numbers.takeExactly(exactly)) return giveUp(userns, -ERRNO.EACCES);
      const device: Device = {
        number,
        userns,
        state: 'making',
        handedTo: pid,
        handedOutMs: performance.now(),
        temporary,
        unsettled: temporary,
      };
      own.set(number, device);
      keep();
      const error = broker.exists(number)
        ? ERRNO.EEXIST
        : await attempted(() => broker.create(owner[0] ?? null, number));
      if (error === 0) return present(device);
      // It was not there before: who was to make it died or was late, but had made it.
      if (error !== ERRNO.EEXIST && broker.exists(number)) return withdraw(device, error);
      own.delete(number);
      if (error !== ERRNO.EEXIST) return giveUp(userns, -error);
      if (exactly !== undefined) return giveUp(userns, -ERRNO.EACCES);
    }
    return giveUp(userns, -ERRNO.ENOSPC);
  }

  /** Lets the container see a device that was made; one that it cannot see, it does not get. */
  async function present(device: Device): Promise<number> {
    const { number } = device;
    const error = closed ? ERRNO.ENODEV : await attempted(() => parts.show(number, true));
    // Its reaper may have been there before the device was.
    if (error === 0 && !closed) {
      device.state = 'ready';
      return number;
    }
    return withdraw(device, error || ERRNO.ENODEV);
  }

  /** A device that its caller is not told of; one that cannot be removed is free for the next. */
  async function withdraw(device: Device, error: number): Promise<number> {
    const { number } = device;
    if ((await attempted(() => broker.remove(number))) === 0) drop(number);
    else device.state = 'ready';
    return -error;
  }

  function giveUp(userns: readonly string[], result: number): number {
    quota.release(claimOf(userns));
    keep();
    return result;
  }

  async function remove(number: number): Promise<number> {
    if (closed) return -ERRNO.ENODEV;
    if (number < 0) return -ERRNO.EINVAL;
    const device = own.get(number);
    if (device === undefined) return broker.exists(number) ? -ERRNO.EACCES : -ERRNO.ENODEV;
    if (device.state !== 'ready' || device.unsettled || broker.isBound(number)) return -ERRNO.EBUSY;
    device.state = 'removing';
    const error = await attempted(() => broker.remove(number));
    // ENODEV: the host's root has removed it already.
    if (error !== 0 && error !== ERRNO.ENODEV) {
      device.state = 'ready';
      return -error;
    }
    drop(number);
    await attempted(() => parts.show(number, false));
    return error === 0 ? 0 : -error;
  }

  function drop(number: number): void {
    const device = own.get(number);
    if (device === undefined) return;
    own.delete(number);
    quota.release(claimOf(device.userns));
    keep();
  }
}

function keptOf({ number, userns, temporary = false }: Device): KeptDevice {
  return { number, userns, ...(temporary && { temporary }) };
}

/** The kernel's 64-bit id where there is one; an inum is used again, but not while a device is charged to it. */
export function usernsKey({ inum, id }: UsernsId): string {
  return id === null ? `inum:${inum}` : `id:${id}`;
}

/** 0 or the errno. */
async function attempted(body: () => Promise<void>): Promise<number> {
  try {
    await body();
    return 0;
  } catch (error) {
    return errnoOf(error);
  }
}
