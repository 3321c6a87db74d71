/** From events to audit records: names for numbers, the device's life for what the event itself does not carry. */
import { constants } from 'node:os';
import type { Life } from '../devices/registry.js';
import type { Aggregate } from '../events/aggregates.js';
import type { LoopEvent } from '../events/decode.js';
import type { Container } from '../identity/container.js';
import {
  type IoctlEvent,
  LOOP_COMMAND_NAMES,
  SYSCALL_ARCH,
  UEVENT_ACTION_NAMES,
  type UeventEvent,
  VERDICT,
} from '../kernel/abi.js';
import { ruleName } from '../policy/explanation.js';
import type { AuditDevice, AuditRecord } from './audit-record.js';

/** All but what only the log knows: the sequence number and the clock's offset. */
export type AuditEntry = Omit<AuditRecord, 'seq' | 'wallOffsetNs'>;

/** `device` is undefined for a control ioctl that named none. `life`: as it is after the event. `container`: the caller's. */
export function entryOfEvent(
  event: LoopEvent,
  device: AuditDevice | undefined,
  life: Life | undefined,
  container?: Container,
): AuditEntry {
  const entry =
    event.kind === 'ioctl'
      ? ioctlEntry(event.record, event.backingPath, device, life)
      : ueventEntry(event.record, device);
  if (container !== undefined) entry.container = container;
  return entry;
}

/** A life that ended without an ioctl of its own: autoclear, or the last close after LOOP_CLR_FD. */
export function entryOfLifeEnd(
  record: UeventEvent,
  device: AuditDevice,
  life: Life,
  ownerAfter: bigint,
  container?: Container,
): AuditEntry {
  return {
    bootNs: record.header.bootNs,
    kind: 'life',
    command: 'release',
    device: { ...device, diskseq: life.diskseq },
    caller: record.emitter,
    ...(container && { container }),
    ...(life.backing.path !== '' && { backing: life.backing }),
    owner: { before: life.holder, after: ownerAfter },
  };
}

/**
 * Events of one principal, command and result. The caller is the one of the first of them; `container`: its, `device`: the first's,
 * which a line has only where it is that of all.
 */
export function entryOfAggregate(
  aggregate: Aggregate,
  device: AuditDevice | undefined,
  container?: Container,
): AuditEntry {
  const { of, command, result, caller, count, firstBootNs, lastBootNs } = aggregate;
  const devices = aggregate.isMixed ? 'several' : device ? 'one' : 'none';
  return {
    bootNs: lastBootNs,
    kind: 'aggregate',
    ...(of === 'ioctl'
      ? { command: LOOP_COMMAND_NAMES.get(command) ?? String(command), result: resultName(result) }
      : { command: actionName(command), verdict: verdictName(result) }),
    ...(device && devices === 'one' && { device }),
    caller,
    ...(container && { container }),
    aggregate: { of, count, firstBootNs, lastBootNs, devices },
  };
}

function ioctlEntry(
  record: IoctlEvent,
  path: string | undefined,
  device: AuditDevice | undefined,
  life: Life | undefined,
): AuditEntry {
  const { after } = record;
  // The life that the call leads to; a control ioctl sees no disk, then it is the registry's.
  const diskseq = after.diskseq || record.diskseqBefore || device?.diskseq;
  const backingPath = path ?? life?.backing.path;
  return {
    bootNs: record.header.bootNs,
    kind: 'ioctl',
    command: LOOP_COMMAND_NAMES.get(record.command) ?? String(record.command),
    arch: record.arch === SYSCALL_ARCH.COMPAT ? 'i386' : 'x86_64',
    ...(device && { device: { ...device, ...(diskseq && { diskseq }) } }),
    result: resultName(record.result),
    durationNs: record.durationNs,
    caller: record.caller,
    opener: { uid: record.openerUid, userns: record.openerUserns },
    ...(after.backingDev !== 0 && {
      backing: {
        dev: after.backingDev,
        inode: after.backingInode,
        ...(backingPath && { path: backingPath }),
      },
      config: {
        offset: after.offset,
        sizelimit: after.sizelimit,
        flags: after.flags,
        blockSize: after.blockSize,
      },
    }),
    owner: { before: record.ownerBefore, after: record.ownerAfter },
  };
}

function ueventEntry(record: UeventEvent, device: AuditDevice | undefined): AuditEntry {
  const diskseq = record.diskseq > 0n && { diskseq: record.diskseq };
  return {
    bootNs: record.header.bootNs,
    kind: 'uevent',
    command: actionName(record.action),
    ...(device && { device: { ...device, ...diskseq } }),
    caller: record.emitter,
    owner: { after: record.owner },
    verdict: verdictName(record.verdict),
    rule: ruleName(record.rule),
  };
}

const actionName = (action: number): string => (UEVENT_ACTION_NAMES.get(action) ?? 'other').toLowerCase();
const verdictName = (verdict: number): string => (verdict === VERDICT.HIDE ? 'hide' : 'deliver');

/** `ok`, or the errno's name. */
export function resultName(result: number): string {
  if (result >= 0) return 'ok';
  // The kernel's own numbers above 511, such as ERESTARTSYS, have no name outside it.
  return ERRNO_NAMES.get(-result) ?? `errno ${-result}`;
}

/** Where a number has two names it gets the kernel's. The last three are not in Node's table. */
const ERRNO_NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, errno]): [number, string] => [errno, name]),
  [constants.errno.EAGAIN, 'EAGAIN'],
  [constants.errno.EOPNOTSUPP, 'EOPNOTSUPP'],
  [15, 'ENOTBLK'],
  [117, 'EUCLEAN'],
  [121, 'EREMOTEIO'],
]);
