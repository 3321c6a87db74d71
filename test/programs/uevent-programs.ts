/** The real uevent programs, loaded without a place, run on texts of the tests' own. */
import { after } from 'node:test';
import { devnoKey } from '../../src/devices/owners.js';
import { decodeBatch } from '../../src/events/decode.js';
import {
  type OwnerEntry,
  readOwnerEntry,
  UEVENT_EVENT_DISK_LENGTH,
  type UeventEvent,
  writeOwnerEntry,
} from '../../src/kernel/abi.js';
import { loadNative } from '../../src/kernel/native.js';
import { loadPrograms } from '../../src/kernel/programs.js';
import { changeSettings, type FilterModeName } from '../../src/kernel/settings.js';
import { NOBODY } from '../event-fixture.js';

export const native = loadNative();
export const programs = loadPrograms(native, {
  programs: ['uevent_delivery_socket', 'uevent_emission_socket', 'uevent_emission_body'],
  reuse: new Map(),
  sizes: { events: 1 << 20, owners: 1024 },
});
const delivery = programs.program('uevent_delivery_socket');
// What is attached to the listener passes each message on.
const slot = Buffer.alloc(4);
slot.writeUInt32LE(programs.program('uevent_emission_body').fd);
programs.map('listener_slots').put(Buffer.alloc(4), slot);
const emission = programs.program('uevent_emission_socket');
const records: UeventEvent[] = [];
const ring = native.openRingReader(programs.map('events'), (bytes, _count, end) => {
  ring.release(end);
  for (const event of decodeBatch(bytes).events) if (event.kind === 'uevent') records.push(event.record);
});
ring.unref();
after(() => {
  ring.close();
  programs.close();
});

/** BPF_PROG_TEST_RUN takes an Ethernet header off; a netlink message has none. */
const ETHERNET_HEADER = Buffer.alloc(14);
/** As much as the kernel takes in a test run, without the header. */
export const TEXT_MAX_BYTES = 3400;

function message(text: string | Uint8Array): Buffer {
  return Buffer.concat([ETHERNET_HEADER, typeof text === 'string' ? Buffer.from(text) : text]);
}

export function setMode(mode: FilterModeName): void {
  changeSettings(programs.map('settings'), { mode, udevTgid: 0 });
}

/** What a receiver of the host gets. */
export function deliver(text: string | Uint8Array): 'delivered' | 'hidden' {
  return delivery.testRun(message(text)).result === 0 ? 'hidden' : 'delivered';
}

/** The records of one emission; the agent's listener itself must never get the message. */
export function emit(text: string | Uint8Array): UeventEvent[] {
  const { result } = emission.testRun(message(text));
  if (result !== 0) throw new Error(`the listener would queue a message: ${result}`);
  return readEmitted();
}

/** The record, if there is any, stays in the ring. */
export function emitUnread(text: string | Uint8Array): void {
  emission.testRun(message(text));
}

/** All that are in the ring, which is empty then. */
export function readEmitted(): UeventEvent[] {
  while (ring.drain() > 0);
  return records.splice(0);
}

export function setOwner(devno: number, entry: Partial<OwnerEntry>): void {
  programs.map('owners').put(devnoKey(devno), writeOwnerEntry({ ...NOBODY, ...entry }));
}

export function ownerEntry(devno: number): OwnerEntry | undefined {
  const value = programs.map('owners').get(devnoKey(devno));
  return value === null
    ? undefined
    : readOwnerEntry(new DataView(value.buffer, value.byteOffset, value.byteLength), 0);
}

export function forgetOwner(devno: number): void {
  programs.map('owners').delete(devnoKey(devno));
}

/** Has the programs know the number of a disk of another driver, as they learn it when they see whose it is. */
export function setDisk(name: string, devno: number): void {
  programs.map('disks').put(diskKey(name), devnoKey(devno));
}

export function forgetDisk(name: string): void {
  programs.map('disks').delete(diskKey(name));
}

function diskKey(name: string): Buffer {
  const key = Buffer.alloc(UEVENT_EVENT_DISK_LENGTH);
  key.write(name);
  return key;
}

export interface UeventParts {
  action?: string;
  path?: string;
  subsystem?: string;
  /** Between SUBSYSTEM and SEQNUM: `DISKSEQ=9`. */
  fields?: readonly string[];
}

/** As lib/kobject_uevent.c writes it. */
export function ueventText({
  action = 'change',
  path = '/devices/virtual/block/loop3',
  subsystem = 'block',
  fields = [],
}: UeventParts): string {
  const head = [`${action}@${path}`, `ACTION=${action}`, `DEVPATH=${path}`, `SUBSYSTEM=${subsystem}`];
  return [...head, ...fields, 'SEQNUM=1234', ''].join('\0');
}
