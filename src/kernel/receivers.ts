/**
 * The receivers: every open uevent socket, and the filter on each.
 *
 * New ones are filtered by a thread of the addon the moment they appear; the scan here finds the rest, and says
 * what each gets and why.
 */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { RECEIVER_ENTRY_SIZE, type ReceiverEntry, readReceiverEntry } from './abi.js';
import type { BpfLink, BpfMap, BpfProgram, NativeAddon, NativeError, ReceiverSocket } from './native.js';
import { openProgramNames, type ProgramNames } from './program-names.js';

/** `netlink` group of the kernel's own uevents (enum udev_monitor_netlink_group in systemd: 2 is udevd's). */
const KERNEL_GROUP = 1;
const CLASSIC_FILTER = 0xffffffff;
const SCAN_MAX_BYTES = 4 << 20;

/** The program of bpf/receiver_list.bpf.c, to be loaded with those of the hooks. */
export const RECEIVER_ITERATOR = 'list_receivers';

export const RECEIVER_CLASSES = ['filtered', 'allowed', 'foreign_filter', 'unfiltered'] as const;
export type ReceiverClass = (typeof RECEIVER_CLASSES)[number];

/** Of the sockets in the initial user namespace. */
export const HOST_RECEIVER_KINDS = ['udevd', 'allowed', 'other'] as const;
export type HostReceiverKind = (typeof HOST_RECEIVER_KINDS)[number];

export interface Receiver {
  pid: number;
  fd: number;
  command: string;
  executable: string;
  socketInode: bigint;
  userns: bigint;
  usernsInum: number;
  usernsLevel: number;
  netns: number;
  uid: number;
  class: ReceiverClass;
  /** In words: why it gets what it gets. */
  why: string;
}

export interface Receivers {
  /** Finds all receivers and, while the filter is on, puts it on those that lack it. */
  scan(): readonly Receiver[];
  /** As of the last scan. */
  list(): readonly Receiver[];
  /** Takes the filter off every receiver; returns how many had it. */
  detachAll(): number;
  /** Of the host's udevd, as of the last scan; 0: none. */
  udevTgid(): number;
  close(): void;
}

export interface ReceiverOptions {
  /** Of RECEIVER_ITERATOR; closed with the receivers. */
  iterator: BpfLink;
  /** Of PROGRAM_ITERATOR, which names every loaded program; closed with the receivers. */
  programIterator: BpfLink;
  /** Of the gate for sockets; null where the kernel's own hook filters every receiver. */
  delivery: () => BpfProgram | null;
  allowedCookies: BpfMap;
  /** Executables that get everything. */
  allow: readonly string[];
  /** Of the agent's own listener. */
  ownInode: () => bigint;
  /** Is the filter to be on receivers now? */
  filtering: () => boolean;
  /** The host's, by its inum: the agent may be in one of its own. */
  networkNamespace: number;
}

export function openReceivers(native: NativeAddon, options: ReceiverOptions): Receivers {
  const { iterator, networkNamespace } = options;
  const programNames = openProgramNames(options.programIterator);
  let receivers: Receiver[] = [];

  const entries = (): ReceiverEntry[] => listReceiverSockets(iterator, options.ownInode());

  const isOurs = (filterId: number): boolean =>
    filterId === options.delivery()?.id || filterName(programNames, filterId).startsWith('uevent_delivery');

  return {
    scan() {
      receivers = entries().flatMap((entry) => examine(native, options, entry, isOurs));
      return receivers;
    },
    list: () => receivers,
    detachAll() {
      const filtered = entries().filter((entry) => isOurs(entry.filterId));
      return filtered.filter((entry) => detach(native, entry)).length;
    },
    udevTgid: () => receivers.find((receiver) => isHostUdevd(receiver, networkNamespace))?.pid ?? 0,
    close() {
      programNames.close();
      iterator.close();
    },
  };
}

/** All uevent sockets but `own` (an inode). */
export function listReceiverSockets(iterator: BpfLink, own: bigint): ReceiverEntry[] {
  const bytes = iterator.readIterator(SCAN_MAX_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const seen = new Map<bigint, ReceiverEntry>();
  for (let at = 0; at + RECEIVER_ENTRY_SIZE <= bytes.byteLength; at += RECEIVER_ENTRY_SIZE) {
    const entry = readReceiverEntry(view, at);
    // A socket may be open in many places; the first one found stands for it.
    if (entry.socketInode !== own && !seen.has(entry.socketInode)) seen.set(entry.socketInode, entry);
  }
  return [...seen.values()];
}

/** Of the eBPF program that is a socket's filter; empty if it has none. */
export function filterName(programNames: ProgramNames, filterId: number): string {
  return filterId === 0 || filterId === CLASSIC_FILTER ? '' : programNames.nameOf(filterId);
}

/** What one socket gets; puts the filter on it if that is missing. Empty if the kernel's uevents do not reach it. */
function examine(
  native: NativeAddon,
  options: ReceiverOptions,
  entry: ReceiverEntry,
  isOurs: (filterId: number) => boolean,
): Receiver[] {
  const executable = native.processExecutable(entry.pid);
  const allowed = options.allow.includes(executable);
  // One from an earlier agent still reads the same owner map, but counts into maps that nobody reads.
  const stale = isOurs(entry.filterId) && entry.filterId !== options.delivery()?.id;
  const byKernel = options.delivery() === null;
  const wanted = !byKernel && options.filtering() && (entry.filterId === 0 || stale);
  const error = wanted || allowed ? prepare(native, options, entry, wanted, allowed) : undefined;
  if ((entry.groups & KERNEL_GROUP) === 0) return [];
  const filtered = byKernel ? options.filtering() : isOurs(entry.filterId) || (wanted && error === undefined);
  return [
    {
      pid: entry.pid,
      fd: entry.fd,
      command: native.processText(entry.pid, 'comm').trim(),
      executable,
      socketInode: entry.socketInode,
      userns: entry.userns,
      usernsInum: entry.usernsInum,
      usernsLevel: entry.usernsLevel,
      netns: entry.netns,
      uid: entry.uid,
      ...classify(entry, options.filtering(), filtered, allowed, error),
    },
  ];
}

function classify(
  entry: ReceiverEntry,
  filtering: boolean,
  filtered: boolean,
  allowed: boolean,
  error: string | undefined,
): Pick<Receiver, 'class' | 'why'> {
  // Hidden from it is what was before; but it counts into maps that nobody reads.
  if (filtered && error !== undefined)
    return { class: 'filtered', why: `keeps the filter of an earlier agent: ${error}` };
  if (filtered && allowed) return { class: 'allowed', why: 'its executable is on receivers.allow' };
  if (filtered && entry.usernsLevel > 0)
    return { class: 'filtered', why: 'gets the devices of its own user namespace and the host’s' };
  if (filtered) return { class: 'filtered', why: 'belongs to the host: gets no device of a user namespace' };
  if (entry.filterId !== 0)
    return { class: 'foreign_filter', why: 'has set a filter of its own, which is never replaced' };
  return { class: 'unfiltered', why: error ?? (filtering ? 'not reached yet' : 'the filter is off') };
}

function prepare(
  native: NativeAddon,
  { delivery, allowedCookies }: ReceiverOptions,
  entry: ReceiverEntry,
  attach: boolean,
  allowed: boolean,
): string | undefined {
  try {
    const socket = native.openReceiver(entry.pid, entry.fd);
    try {
      // The descriptor may lead to another socket by now.
      if (socket.inode !== entry.socketInode) return 'its socket has changed';
      if (allowed) allowReceiver(allowedCookies, socket.cookie);
      const program = delivery();
      if (attach && program) attachTo(socket, program);
    } finally {
      socket.close();
    }
  } catch (error) {
    const { code } = error as NativeError;
    if (code === 'EPERM') return 'it has locked its filter (SO_LOCK_FILTER)';
    return `could not be reached (${code})`;
  }
  return undefined;
}

/**
 * Replaces in one step where the socket's memory (net.core.optmem_max, 20 KiB before 6.7) has room for two filters;
 * elsewhere the old one goes first, and the socket is bare for some microseconds.
 */
function attachTo(socket: ReceiverSocket, delivery: BpfProgram): void {
  try {
    socket.attach(delivery);
  } catch (error) {
    if ((error as NativeError).code !== 'ENOMEM' || !socket.detach()) throw error;
    socket.attach(delivery);
  }
}

function detach(native: NativeAddon, entry: ReceiverEntry): boolean {
  try {
    const socket = native.openReceiver(entry.pid, entry.fd);
    try {
      return socket.inode === entry.socketInode && socket.detach();
    } finally {
      socket.close();
    }
  } catch {
    // Gone meanwhile: then so is its filter.
    return false;
  }
}

/** No longer of use: the socket is closed. */
export function forgetReceiver(allowed: BpfMap, cookie: bigint): void {
  allowed.delete(cookieKey(cookie));
}

/** From now on it gets everything. */
export function allowReceiver(allowed: BpfMap, cookie: bigint): void {
  allowed.put(cookieKey(cookie), Buffer.from([1, 0, 0, 0]));
}

function cookieKey(cookie: bigint): Buffer {
  const key = Buffer.alloc(8);
  key.writeBigUInt64LE(cookie);
  return key;
}

/**
 * udevd renames nothing and runs as root, in the host's network namespace: a container has one of its own, and may run a
 * udevd, too. Newer systemd runs it from udevadm's own executable.
 */
function isHostUdevd({ usernsLevel, uid, netns, command }: Receiver, networkNamespace: number): boolean {
  const isHostRoot = usernsLevel === 0 && uid === 0 && netns === networkNamespace;
  return isHostRoot && ['systemd-udevd', 'udevd'].includes(basename(command));
}

/** Undefined for those of other user namespaces. `networkNamespace`: the host's, by its inum. */
export function hostReceiverKind(receiver: Receiver, networkNamespace: number): HostReceiverKind | undefined {
  if (receiver.usernsLevel > 0) return undefined;
  if (isHostUdevd(receiver, networkNamespace)) return 'udevd';
  return receiver.class === 'allowed' ? 'allowed' : 'other';
}

/** Its inum. What loads the programs runs in the host's. */
export function ownNetworkNamespace(): number {
  return statSync('/proc/self/ns/net').ino;
}
