/** The way of one event past the stations: identity, devices, policy, sinks. The agent's, and that of a recording (demo). */
import { diskName } from './devices/devno.js';
import type { Device, Registry } from './devices/registry.js';
import type { Accounts } from './events/accounts.js';
import type { LoopEvent } from './events/decode.js';
import type { ContainerResolver } from './identity/resolver.js';
import { type HandOver, handOverOf } from './policy/hand-over.js';
import { hiddenCookie } from './policy/udev-cookie.js';
import type { Activity } from './sinks/activity.js';
import { entryOfEvent, entryOfLifeEnd } from './sinks/audit-events.js';
import type { AuditDevice } from './sinks/audit-record.js';
import type { AuditTrail } from './sinks/audit-trail.js';
import type { HostAccesses } from './sinks/host-accesses.js';
import { recordKey } from './sinks/log-tail.js';

export interface EventPathOptions {
  accounts: Pick<Accounts, 'note'>;
  containers: Pick<ContainerResolver, 'containerOf'>;
  registry: Registry;
  activity: Pick<Activity, 'note'>;
  hostAccesses: Pick<HostAccesses, 'note'>;
  trail: Pick<AuditTrail, 'record'>;
  /** As in loopPartShift. */
  partShift: number;
  /** The creator of a device, as the owner map has it now. */
  creatorOf: (devno: number) => bigint;
  /** Keys of records that the log has already (recordKey). */
  written: () => ReadonlySet<string>;
  /** The device is what it is after the event; before a hand-over tells the host of it. */
  settle: (device: Device) => void;
  handOver: (handOver: HandOver) => void;
  /** Somebody of the host's waits until udev has completed a uevent that it never gets. */
  completeCookie: (cookie: number) => void;
}

/** Takes each event, in the order of the kernel. */
export function createEventPath(options: EventPathOptions): (event: LoopEvent) => void {
  const { accounts, containers, registry, activity, trail, creatorOf } = options;

  /** A number that was refused has no device, but the line says which it was. */
  const nameOf = (devno: number, device: Device | undefined): AuditDevice | undefined => {
    if (devno === 0) return undefined;
    return device
      ? { name: device.name, devno, diskseq: device.diskseq }
      : { name: diskName(devno, options.partShift), devno };
  };

  return (event) => {
    accounts.note(event);
    const caller = event.kind === 'ioctl' ? event.record.caller : event.record.emitter;
    const container = containers.containerOf(caller);
    const change = registry.apply(event, container);
    const { header, devno } = event.record;
    const written = options.written();
    // Of an agent that was killed between writing and releasing.
    if (written.size > 0 && written.has(recordKey(header.bootNs, caller.tid))) return;
    const cookie = hiddenCookie(event);
    if (cookie !== undefined) options.completeCookie(cookie);
    const { device, ended } = change;
    activity.note(event, ended ?? device?.life, container);
    options.hostAccesses.note(event);
    const named = nameOf(devno, device);
    trail.record(entryOfEvent(event, named, device?.life, container));
    if (device === undefined || named === undefined) return;
    options.settle(device);
    if (ended && event.kind === 'uevent')
      trail.record(entryOfLifeEnd(event.record, named, ended, creatorOf(devno), container));
    const handOver = handOverOf(event, change, () => creatorOf(devno));
    if (handOver) options.handOver(handOver);
  };
}
