/** The module that serves loopfs: FUSE sessions on threads of their own, and the system calls that go with them. */
import { createRequire } from 'node:module';
import { PACKAGE_ROOT } from '../kernel/paths.js';

/** What a container asks and this process decides; `end`: the last mount of an instance has gone. */
export type LoopfsOperation = 'get_free' | 'add' | 'remove' | 'rescan' | 'attach' | 'unlink' | 'end';

export type OnLoopfsEvent = (
  operation: LoopfsOperation,
  request: number,
  instance: number,
  argument: number,
  pid: number,
  uid: number,
  gid: number,
) => void;

export interface LoopfsServer {
  readonly instances: number;
  /**
   * Makes the file system of an instance: `uid` and `gid` own its root, control and nodes, `limit` is what statfs shows.
   * `mountFd` is a mount attached nowhere, and the caller's to close; `device` is st_dev of the file system.
   */
  mount(uid: number, gid: number, limit: number): { instance: number; mountFd: number; device: number };
  /** The same for the host's own: it shows all devices but those that `setDevice` takes away, to the host's CAP_SYS_ADMIN. */
  mountHost(): { instance: number; mountFd: number; device: number };
  /** Ends an instance's connection: who still has it mounted gets ENOTCONN. No `end` is reported. */
  end(instance: number): boolean;
  /** Shows or takes away the nodes of a device. False if the instance has ended. */
  setDevice(instance: number, number: number, present: boolean): boolean;
  /** A result, or a negative errno. Too late, or for a second time, it does nothing. */
  respond(request: number, result: number): void;
  /** Who waits for the answer to a request; both are the caller's to close. */
  openCaller(request: number): { processFd: number; usernsFd: number };
  close(): void;
}

/** The name that the kernel gives a user namespace; `id` is null where it has none (before 6.18). */
export interface UsernsId {
  inum: number;
  id: bigint | null;
}

declare const offered: unique symbol;

/** An image that a container has handed over, with what it wants of a device. Opaque. */
export interface OfferedImage {
  readonly [offered]: true;
}

export interface LoopfsModule {
  /** `outstanding` and `queued` bound the calls of each instance; past both the caller gets EAGAIN, past the deadline EIO. */
  openServer(
    threads: number,
    outstanding: number,
    queued: number,
    deadlineMs: number,
    onEvent: OnLoopfsEvent,
  ): LoopfsServer;
  /** move_mount(2) of a detached mount to a path of this process's mount namespace. */
  attachMount(mountFd: number, path: string): void;
  /** The same for the host's own instance, on a folder: no other mount namespace gets it. */
  placeHostMount(mountFd: number, path: string): void;
  /** umount2(2) of the host's topmost mount at a path, also while it is in use. */
  unmount(path: string): void;
  /** Path of a file like /proc/PID/mountinfo: that of the host, also where this process has a mount namespace of its own. */
  hostMountInfo(): string;
  /** ioctl(2) on the host's loop-control, off the event loop: its result, or a negative errno. */
  callLoopControl(request: number, argument: number): Promise<number>;
  /** LOOP_CLR_FD on a device, whether or not the host has a node of it: 0, or a negative errno. */
  clearLoop(major: number, minor: number): Promise<number>;
  /** BLKRRPART in the same way, in a thread of its own, which never ends if the image's file system never answers. */
  rescanLoop(major: number, minor: number): Promise<number>;
  /**
   * Takes an image out of the socket that descriptor `fd` of a process is. Like the next two it may never come back, if the
   * image's file system does not answer.
   */
  takeImage(processFd: number, fd: number, instanceDevice: number): Promise<OfferedImage>;
  /** Sets the device up as a process of that user namespace, and sends it back; it clears itself on its last close. */
  attachImage(
    image: OfferedImage,
    usernsFd: number,
    number: number,
    major: number,
    minor: number,
  ): Promise<void>;
  dropImage(image: OfferedImage): Promise<void>;
  /** The container's side of it; `fd` is the open device, and the caller's to close. */
  offerImage(
    controlPath: string,
    imagePath: string,
    flags: number,
    blockSize: number,
    offset: number,
    sizeLimit: number,
  ): { number: number; fd: number };
  /**
   * Replaces this process, keeping its pid, by a program with no capabilities but those of the mask `keep`, which can get
   * none back (no_new_privs). Never returns.
   */
  execWithCapabilities(keep: number, path: string, argv: readonly string[]): never;
  /** A process's user namespace and its ancestors below the initial one, innermost first. */
  usernsChain(pid: number): UsernsId[];
}

const require = createRequire(import.meta.url);

export function loadLoopfsModule(): LoopfsModule {
  const platform = `${process.platform}-${process.arch}`;
  return require(`${PACKAGE_ROOT}prebuilds/${platform}/loopfs/loopfs.node`) as LoopfsModule;
}
