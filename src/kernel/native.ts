/**
 * The native addon: what it exports, and its loading. The C++ side (native/) is thin and holds no policy; every
 * length and type is checked there, and a misuse throws a TypeError, never crashes.
 *
 * Integers that may pass 2^53 are bigint. Buffers returned are copies. `close()` is idempotent; any other call on
 * a closed object throws `Error` with code `ERR_CLOSED`.
 */
import { createRequire } from 'node:module';
import { PACKAGE_ROOT } from './paths.js';

/** An error of a system call or of libbpf. `errno` is positive; `code` its name; `log` the verifier's or libbpf's own words. */
export interface NativeError extends Error {
  code: string;
  errno: number;
  operation: string;
  log?: string;
}

/** One loaded or opened BPF ELF object. Programs of sections that begin with `?` are not loaded unless asked for. */
export interface BpfObject {
  readonly programs: readonly BpfProgramSummary[];
  readonly maps: readonly string[];
  /** Whether `load` loads the program. Throws ENOENT for an unknown name. Only before `load`. */
  setAutoload(program: string, autoload: boolean): void;
  /** Initial value of an integer `const volatile` global in .rodata (a weak or strong symbol), by its BTF. */
  getGlobal(name: string): bigint;
  /** Only before `load`. Throws RangeError if the value doesn't fit the symbol's size. */
  setGlobal(name: string, value: bigint | number): void;
  /** Uses an existing map instead of making one. Only before `load`. */
  reuseMap(name: string, map: BpfMap): void;
  setMaxEntries(name: string, entries: number): void;
  /** Whether `load` makes the map; `map` of one that was not made throws ENOENT. Only before `load`. */
  setAutocreate(name: string, autocreate: boolean): void;
  /** Loads maps and chosen programs into the kernel. On failure the error's `log` holds the verifier's last lines. */
  load(): void;
  /** A handle of its own (dup of the fd): valid after the object is closed. */
  map(name: string): BpfMap;
  program(name: string): BpfProgram;
  close(): void;
}
export interface BpfProgramSummary {
  readonly name: string;
  readonly section: string;
  readonly instructions: number;
}
/**
 * Run count and run time, 0n unless kernel.bpf_stats_enabled; `missed`: calls it was not run for, since it was
 * running on that CPU already.
 */
export interface ProgramStats {
  runs: bigint;
  runNs: bigint;
  missed: bigint;
}
/** A loaded program: its own dup of the fd. */
export interface BpfProgram {
  readonly name: string;
  readonly fd: number;
  readonly id: number;
  /** Instructions the verifier processed and the loaded (translated) size in instructions. */
  readonly verifiedInstructions: number;
  /** Of what it was attached for: a program that another one passes a call on to has none. */
  stats(): ProgramStats;
  /** Attaches as the section name says (tp_btf, fentry, fexit, fmod_ret, lsm, kprobe, iter); iter/bpf_map_elem to `map`. */
  attach(map?: BpfMap): BpfLink;
  /** Runs the program once on `data` with BPF_PROG_TEST_RUN (socket filters): returns its result. */
  testRun(data: Buffer, repeat?: number): { result: number; durationNs: number };
  pin(path: string): void;
  close(): void;
}
/** Closing an unpinned link detaches it. */
export interface BpfLink {
  readonly id: number;
  /** Of the program that is attached. */
  readonly programId: number;
  pin(path: string): void;
  unpin(): void;
  /** For an iterator link: runs it and returns all it wrote, at most `maxBytes` (then throws E2BIG). */
  readIterator(maxBytes?: number): Buffer;
  close(): void;
}
export interface BpfMap {
  readonly name: string;
  readonly id: number;
  /** The kernel's BPF_MAP_TYPE_* number. */
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly perCpu: boolean;
  /** Possible CPUs for a per-CPU map, else 1. */
  readonly cpus: number;
  /** The value, or for per-CPU maps one value of round_up(valueSize, 8) bytes for each possible CPU; null if absent. */
  get(key: Buffer): Buffer | null;
  /** `exclusive: 'new'` is BPF_NOEXIST (EEXIST if there), 'existing' BPF_EXIST. */
  put(key: Buffer, value: Buffer, exclusive?: 'new' | 'existing'): void;
  /** False if there was none. */
  delete(key: Buffer): boolean;
  /** All entries, batch by batch where the kernel can (BPF_MAP_LOOKUP_BATCH), else key by key. Keys and values are packed back to back. */
  entries(): { count: number; keys: Buffer; values: Buffer };
  pin(path: string): void;
  close(): void;
}
/**
 * Reads a BPF ring buffer on Node's event loop (the map's fd polled by libuv). The records found at a wake-up go
 * to `onBatch` as one Buffer, each record preceded by its length (u32) and a u32 of padding, every record padded to
 * 8 bytes. A batch holds at most 1 MiB; the rest follows when it is released.
 *
 * What is read stays in the ring until it is released, also when this process dies: the next reader begins there.
 */
export interface RingReader {
  /** Reads one batch of what was not read yet, without a wake-up; returns its number of records. */
  drain(): number;
  /**
   * Gives the room up to this position (a batch's `end`) back to the ring. Until all that was read is released, new
   * records make no wake-up. Throws RangeError for a position that was released before or is not read yet.
   */
  release(position: bigint): void;
  /** Bytes that are not released, those of them that are not read, and the ring's size. */
  stats(): { availableBytes: number; unreadBytes: number; sizeBytes: number };
  /** No wake-up until `resume`; `drain` still reads. */
  pause(): void;
  /** What came meanwhile wakes at once. */
  resume(): void;
  unref(): void;
  close(): void;
}
/** libbpf's static linker: joins BPF objects into one file. */
export interface BpfLinker {
  addFile(path: string): void;
  /** Writes the output. Afterwards only `close` may be called. */
  finalize(): void;
  close(): void;
}
export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  readonly bitfieldSize: number;
}
export interface BtfType {
  /** int, ptr, array, struct, union, enum, enum64, typedef, volatile, const, restrict, func, func_proto, var, datasec, fwd, float, decl_tag, type_tag, void */
  readonly kind: string;
  readonly name: string;
  /** Bytes, where the kind has a size; else 0. */
  readonly size: number;
  /** The type referred to (ptr, typedef, const, array element, var …), else 0. */
  readonly type: number;
  /** Array length, else 0. */
  readonly length: number;
  /** int: signed. */
  readonly signed: boolean;
  readonly members: readonly BtfMember[];
  readonly values: readonly { name: string; value: bigint }[];
}
export interface Btf {
  /** Number of types; ids run from 1 to it. */
  readonly count: number;
  /** Id of the first type of that name and kind, or 0. */
  find(name: string, kind: string): number;
  type(id: number): BtfType;
  close(): void;
}
export type SocketFilterKind = 'none' | 'classic' | 'ebpf';
/** A duplicate of another process's NETLINK_KOBJECT_UEVENT socket, taken with pidfd_getfd. */
export interface ReceiverSocket {
  readonly inode: bigint;
  readonly cookie: bigint;
  readonly portid: number;
  readonly groups: number;
  /** SO_GET_FILTER can tell a classic filter from none, and an eBPF one only by its refusal (EACCES). */
  readonly filter: SocketFilterKind;
  /** SO_ATTACH_BPF. EPERM when the receiver has locked its filter (SO_LOCK_FILTER). Replaces what is there. */
  attach(program: BpfProgram): void;
  /** SO_DETACH_FILTER. False if there was none. */
  detach(): boolean;
  close(): void;
}
/** The agent's own ear: bound to uevent groups in the agent's network namespace when a program is attached. */
export interface UeventListener {
  readonly inode: bigint;
  readonly cookie: bigint;
  attach(program: BpfProgram): void;
  /** Unicast from another socket to this one, so that the programs on its way run; what is queued is thrown away. */
  send(text: string): void;
  close(): void;
}
/**
 * Attaches the filter to new receivers from a thread of its own, real-time where allowed, so that a busy event loop
 * never lengthens the moment in which a new socket is unfiltered. It reads receiver events (bpf/event.h: pid at byte 24,
 * fd at byte 28 of the record) from a ring of their own.
 */
export interface ReceiverWatch {
  /** null: new receivers are left alone (filter off). */
  setProgram(program: BpfProgram | null): void;
  close(): void;
}
export interface AttachOutcome {
  pid: number;
  fd: number;
  inode: bigint;
  cookie: bigint;
  /** attached; already: an eBPF filter was there; foreign: the receiver's own classic filter was there; gone: the process or fd has gone; not_uevent; failed */
  outcome: 'attached' | 'already' | 'foreign' | 'gone' | 'not_uevent' | 'failed' | 'off';
  errno: number;
  /** From the record's boot_ns to the attachment. */
  latencyNs: number;
}
/**
 * A container's root, settled when opened. What is done there is done by a thread of its own, as the container's root and
 * below its root, and no symlink of the container's is followed. A container that has the host's own /dev is refused
 * (EXDEV). A promise waits as long as a file system in the container makes it wait: bound it. The mount namespace is not
 * held: it ends with the container's processes, and what was placed goes with it.
 */
export interface MountNamespace {
  /**
   * Moves a detached mount (of fsmount or open_tree) to a folder, which is made if it is missing; EBUSY if something is
   * mounted there already. Resolves with the mount's id, by which `unplace` knows it.
   */
  place(mountFd: number, target: string): Promise<number>;
  /** Detaches it, busy or not, and removes the folder. False if it is not there. ESRCH when the process has ended. */
  unplace(target: string, mountId: number): Promise<boolean>;
  /** The same for whatever is mounted there, if its server has gone (ENOTCONN). */
  unplaceDead(target: string): Promise<boolean>;
  /** A symlink; false if it is there already. EEXIST for anything else there, unless `replace`; then in one step. */
  link(path: string, target: string, replace: boolean): Promise<boolean>;
  /** Removes the symlink if it leads to `target`; false if not. */
  unlink(path: string, target: string): Promise<boolean>;
  close(): void;
}
/** A uevent socket in a container's network namespace. */
export interface UeventSender {
  /** Has the kernel broadcast it: at most 2,048 bytes, each part ended by NUL, to which it adds a SEQNUM. */
  send(text: Buffer): void;
  close(): void;
}
/** A uevent socket of the host's network namespace that a container's user namespace has opened. */
export interface UeventSource {
  close(): void;
}
/** Sends to a Unix datagram socket, which Node cannot; who listens there may come, go and come anew. */
export interface DatagramSocket {
  /** Never waits: 0, or the errno: EAGAIN for a receiver whose queue is full, ENOENT or ECONNREFUSED for none. */
  send(message: Buffer): number;
  close(): void;
}
export interface NamespaceIdentity {
  inum: number;
  /** NS_GET_ID; null where the kernel has none. */
  id: bigint | null;
  /** User namespaces: uid of the creator (NS_GET_OWNER_UID); else null. */
  ownerUid: number | null;
}

export interface NativeAddon {
  libbpfVersion(): string;
  openObject(path: string): BpfObject;
  openPinnedMap(path: string): BpfMap;
  /** A map that the loaded program with this id uses; null if there is no such program, or it uses none of that name. */
  openMapOfProgram(program: number, name: string): BpfMap | null;
  openPinnedProgram(path: string): BpfProgram;
  openPinnedLink(path: string): BpfLink;
  /**
   * Calls onBatch(buffer, count, end) on the event loop; `end`: the ring's position after the batch. An exception
   * thrown by it surfaces as an uncaught exception.
   */
  openRingReader(map: BpfMap, onBatch: (batch: Buffer, count: number, end: bigint) => void): RingReader;
  openLinker(outputPath: string): BpfLinker;
  /** BTF of an ELF file, or raw BTF such as /sys/kernel/btf/vmlinux (base: split BTF's base for module BTF). */
  openBtf(path: string, base?: Btf): Btf;
  /** Works after `dropCapabilities`. */
  openReceiver(pid: number, fd: number): ReceiverSocket;
  /** `groups`: 1 for the kernel's own uevents (default), 0 for none. */
  openUeventListener(groups?: number): UeventListener;
  watchReceivers(
    ring: BpfMap,
    program: BpfProgram | null,
    onOutcome: (outcome: AttachOutcome) => void,
  ): ReceiverWatch;
  /**
   * Of the process that began `startTicks` after boot (field 22 of /proc/PID/stat; ESRCH if it is gone). `uid` and `gid`: the
   * host's ids of the container's root. `root`: path of the container's root in its mount namespace, `/` as soon as the
   * runtime has made it so. EXDEV if the process has the host's own namespace.
   */
  openMountNamespace(
    pid: number,
    startTicks: number,
    uid: number,
    gid: number,
    root: string,
  ): Promise<MountNamespace>;
  /** The same for its network namespace. */
  openUeventSender(pid: number, startTicks: number, uid: number, gid: number): Promise<UeventSender>;
  /** `onText`: each uevent that the kernel lets it hear, as it is; null where some were lost. It keeps no process alive. */
  openUeventSource(pid: number, startTicks: number, onText: (text: Buffer | null) => void): UeventSource;
  /** `path`: of the receiver's socket; nothing is there before the first `send`, or after it, for all it cares. */
  openDatagramSocket(path: string): DatagramSocket;
  /** Name of the loaded BPF program with this id (at most 15 characters); null if there is none. */
  programName(id: number): string | null;
  /** `path` as in /proc/PID/ns/user. */
  namespaceIdentity(path: string): NamespaceIdentity;
  /** Where the cgroup with this id (its inode number) is below a mount of cgroup2, in full; null if it is gone. Works after `dropCapabilities`. */
  cgroupPath(mount: string, id: bigint): string | null;
  /** Nanoseconds of CLOCK_BOOTTIME and CLOCK_REALTIME, taken together. */
  clocks(): { bootNs: bigint; wallNs: bigint };
  /** bpf(2) with a harmless command: 0 if allowed, else the errno. */
  probeBpf(): number;
  /** ioctl(2) on a path opened for reading: its result, or the errno as a negative number. Throws if it does not open. */
  ioctl(path: string, request: number, argument: number): number;
  /** mount(2) of bpffs on a directory. */
  mountBpffs(directory: string): void;
  /**
   * Takes every capability but `keep` (bits of linux/capability.h) from all threads, and CAP_BPF where the kernel wants it of who reads
   * an open map, such as this one; returns what is left. One thread keeps two and `privileged`, for the calls here that say so. Once: later
   * calls only take more. Throws ETIMEDOUT if a thread does not obey.
   */
  dropCapabilities(map: BpfMap, keep: number, privileged: number): number;
  /** Path of what the process runs; empty if it is gone or not to be seen. Works after `dropCapabilities`. */
  processExecutable(pid: number): string;
  /**
   * Of /proc/PID, as UTF-8 and at most 64 KiB; empty if the process is gone or not to be seen. Works after `dropCapabilities`, also where
   * proc is mounted so that one sees only one's own processes (hidepid).
   */
  processText(pid: number, name: 'comm' | 'cgroup' | 'stat'): string;
  /**
   * Whether what the process runs is the very file (device and inode) at this path, seen from the agent's root or from that of the
   * host's process 1. False if either is not there or not to be seen. Works after `dropCapabilities`.
   */
  runsExecutable(pid: number, path: string): boolean;
  /** Inum; 0 if the process is gone or not to be seen. Works after `dropCapabilities`. */
  processNamespace(pid: number, kind: 'mnt' | 'user' | 'pid'): number;
  /** The same of every process: pairs of u32, pid and inum. */
  listNamespaces(kind: 'mnt' | 'user' | 'pid'): Buffer;
  /**
   * Opens the loop device of this minor number so that no mount, swap or device on top can have it (O_EXCL), by a node of it: a
   * descriptor, for `releaseLoop`. While it is open no life of the device ends or begins. EBUSY: it is in use; ESTALE: `path` is
   * another file. This call and the next two wait as long as the backing file's file system makes them wait: bound them.
   */
  claimLoop(path: string, minor: number): Promise<number>;
  /**
   * Closes it; with `detach` after LOOP_CLR_FD. `errno` is 0, or EBUSY where somebody else has it open, who then keeps it as it was
   * (`armed`: but for the autoclear flag, which the kernel set; `wasAutoclear`: it had that before), or what the kernel says.
   */
  releaseLoop(fd: number, detach: boolean, wasAutoclear: boolean): Promise<{ errno: number; armed: boolean }>;
  /** LOOP_CTL_REMOVE: 0 or the errno; EBUSY: it is bound or open. */
  removeLoop(number: number): Promise<number>;
  /** A descriptor of the root of the kernel's devtmpfs, whatever is mounted on /dev. Needs CAP_SYS_ADMIN. */
  openDevtmpfs(): number;
  /**
   * Makes the node of a loop device, or a partition of one, in a folder that is open. Works after `dropCapabilities` if `privileged` had
   * CAP_MKNOD, and CAP_CHOWN for an owner that is not root. Throws what the kernel says: EEXIST if anything has the name.
   */
  makeDeviceNode(
    folder: number,
    name: string,
    major: number,
    minor: number,
    mode: number,
    uid: number,
    gid: number,
  ): void;
  /**
   * What udev's rules do for the DM_COOKIE of a uevent (`dmsetup udevcomplete`): lets go of who waits for it. 0, or the errno; ENOENT:
   * nobody waits. Of the agent's own IPC namespace. Works after `dropCapabilities`.
   */
  completeUdevCookie(cookie: number): number;
  /** A datagram for a service manager: `address` as in NOTIFY_SOCKET, `text` as for sd_notify(3). Throws what the socket says. */
  notifyService(address: string, text: string): void;
}

const require = createRequire(import.meta.url);

/** Loads the addon: the build of this tree if there is one, else the prebuilt one of the package. */
export function loadNative(): NativeAddon {
  return require('node-gyp-build')(PACKAGE_ROOT) as NativeAddon;
}
