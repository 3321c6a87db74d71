/**
 * The receivers: every open uevent socket, and the filter on each.
 *
 * New ones are filtered by a thread of the addon the moment they appear; the scan here finds the rest, and says
 * what each gets and why.
 */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Container } from '../identity/container.js';
import { RECEIVER_ENTRY_SIZE, type ReceiverEntry, readReceiverEntry } from './abi.js';
import type { BpfLink, BpfMap, BpfProgram, NativeAddon } from './native.js';
import { openProgramNames, type ProgramNames } from './program-names.js';
import { allowOnly, allowReceiver, attachFilter, detachFilter, reachReceiver } from './receiver-access.js';
import { classifyReceiver, type ReceiverVerdict } from './receiver-class.js';
import { containerOfReceiver } from './receiver-containers.js';

/** `netlink` group of the kernel's own uevents (enum udev_monitor_netlink_group in systemd: 2 is udevd's). */
const KERNEL_GROUP = 1;
const CLASSIC_FILTER = 0xffffffff;
const SCAN_MAX_BYTES = 4 << 20;
/** A service manager keeps the sockets of its units: it does not read them. */
const SERVICE_MANAGER = 1;

/** The program of bpf/receiver_list.bpf.c, to be loaded with those of the hooks. */
export const RECEIVER_ITERATOR = 'list_receivers';

/** Of the sockets in the initial user namespace. */
export const HOST_RECEIVER_KINDS = ['udevd', 'allowed', 'other'] as const;
export type HostReceiverKind = (typeof HOST_RECEIVER_KINDS)[number];

export interface Receiver extends ReceiverVerdict {
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
  /** Id of the rootful container that it is of, while those count; 0n: none. */
  container: bigint;
  /** Unit or container; null: not known. */
  place: Container | null;
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
  /** Which sockets are of rootful containers. */
  containers: BpfMap;
  /** Unit or container of a process. */
  placeOf(entry: ReceiverEntry): Container | null;
  /** The entry of receivers.allow that a process with a socket meets; undefined: none. */
  ruleFor(entry: ReceiverEntry): string | undefined;
  /** The agent's own listener. */
  own: () => { inode: bigint; cookie: bigint };
  /** Is the filter to be on receivers now? */
  filtering: () => boolean;
  /** The host's, by its inum: the agent may be in one of its own. */
  networkNamespace: number;
}

export function openReceivers(native: NativeAddon, options: ReceiverOptions): Receivers {
  const { iterator, networkNamespace } = options;
  const programNames = openProgramNames(options.programIterator);
  let receivers: Receiver[] = [];
  /** Of the receivers on the allow-list as of the last scan, by their inodes. */
  let cookies = new Map<bigint, bigint>();

  const sockets = (): ReceiverEntry[][] => listReceiverSockets(iterator, options.own().inode);

  const isOurs = (filterId: number): boolean =>
    filterId === options.delivery()?.id || filterName(programNames, filterId).startsWith('uevent_delivery');

  /** What one socket gets; puts the filter on it if that is missing, and the socket on the allow-list if it belongs there. */
  const examine = (holders: ReceiverEntry[], allowed: Map<bigint, bigint>): Receiver | undefined => {
    const entry = holders[0] as ReceiverEntry;
    const rule = ruleOfAll(holders, options.ruleFor);
    // One from an earlier agent still reads the same owner map, but counts into maps that nobody reads.
    const stale = isOurs(entry.filterId) && entry.filterId !== options.delivery()?.id;
    const byKernel = options.delivery() === null;
    const wanted = !byKernel && options.filtering() && (entry.filterId === 0 || stale);
    let cookie = cookies.get(entry.socketInode);
    const error =
      wanted || (rule !== undefined && cookie === undefined)
        ? reachReceiver(native, entry, (socket) => {
            const program = options.delivery();
            if (wanted && program) attachFilter(socket, program);
            if (rule !== undefined) allowReceiver(options.allowedCookies, socket.cookie);
            cookie = socket.cookie;
          })
        : undefined;
    if (rule !== undefined && cookie !== undefined) allowed.set(entry.socketInode, cookie);
    const container = containerOfReceiver(options.containers, holders);
    if ((entry.groups & KERNEL_GROUP) === 0) return undefined;
    const filtering = options.filtering();
    const filtered = byKernel ? filtering : isOurs(entry.filterId) || (wanted && error === undefined);
    return {
      pid: entry.pid,
      fd: entry.fd,
      command: native.processText(entry.pid, 'comm').trim(),
      executable: native.processExecutable(entry.pid),
      place: options.placeOf(entry),
      socketInode: entry.socketInode,
      userns: entry.userns,
      usernsInum: entry.usernsInum,
      usernsLevel: entry.usernsLevel,
      netns: entry.netns,
      uid: entry.uid,
      container,
      ...classifyReceiver(entry, { filtering, ofContainer: container > 0n, filtered, rule, stale, error }),
    };
  };

  return {
    scan() {
      const allowed = new Map<bigint, bigint>();
      receivers = sockets().flatMap((holders) => examine(holders, allowed) ?? []);
      cookies = allowed;
      allowOnly(options.allowedCookies, new Set([...allowed.values(), options.own().cookie]));
      return receivers;
    },
    list: () => receivers,
    detachAll() {
      const filtered = sockets().flatMap(([entry]) => (entry && isOurs(entry.filterId) ? [entry] : []));
      return filtered.filter((entry) => detachFilter(native, entry)).length;
    },
    udevTgid: () => receivers.find((receiver) => isHostUdevd(receiver, networkNamespace))?.pid ?? 0,
    close() {
      programNames.close();
      iterator.close();
    },
  };
}

/** Every uevent socket once, but `own` (an inode), with the processes that have it: pids grow. */
export function listReceiverSockets(iterator: BpfLink, own: bigint): ReceiverEntry[][] {
  const bytes = iterator.readIterator(SCAN_MAX_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<bigint, ReceiverEntry[]>();
  for (let at = 0; at + RECEIVER_ENTRY_SIZE <= bytes.byteLength; at += RECEIVER_ENTRY_SIZE) {
    const entry = readReceiverEntry(view, at);
    if (entry.socketInode === own) continue;
    const holders = found.get(entry.socketInode);
    if (holders === undefined) found.set(entry.socketInode, [entry]);
    else holders.push(entry);
  }
  return [...found.values()].map(listenersOf);
}

/** Of the eBPF program that is a socket's filter; empty if it has none. */
export function filterName(programNames: ProgramNames, filterId: number): string {
  return filterId === 0 || filterId === CLASSIC_FILTER ? '' : programNames.nameOf(filterId);
}

/** Those that may read it; the first stands for the socket. Never empty. */
function listenersOf(holders: ReceiverEntry[]): ReceiverEntry[] {
  const others = holders.filter(({ pid }) => pid !== SERVICE_MANAGER);
  return others.length > 0 ? others : holders;
}

/** Whoever has the socket hears by it: each of them is to meet a rule. Told is that of the first. */
function ruleOfAll(
  holders: readonly ReceiverEntry[],
  ruleFor: ReceiverOptions['ruleFor'],
): string | undefined {
  const rules = holders.map(ruleFor);
  return rules.includes(undefined) ? undefined : rules[0];
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
