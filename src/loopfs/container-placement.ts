/** One instance in one container: its mount on /dev/loopfs, and the symlinks by which losetup finds what is in it. */
import { createError } from '../errors.js';
import type { MountNamespace, NativeAddon } from '../kernel/native.js';
import { readContainer } from './container.js';
import { type Attempt, boundCalls } from './container-calls.js';

/** The folder, not /dev/loop: losetup would look for bare numbers in a folder of that name. */
const FOLDER = 'loopfs';
const TARGET = `/dev/${FOLDER}`;
const CONTROL = 'loop-control';
const NODE = /^loop\d{1,7}(p\d{1,3})?$/;

export interface ContainerOptions {
  pid: number;
  /** Of the process, if it was named before: another one with its pid is refused. */
  startTicks?: number;
  /** Path of the container's root in its mount namespace while the runtime still sets it up; else `/`. */
  root?: string;
  /** Whether a node /dev/loop-control or /dev/loopN of the container's own gives way. */
  replace?: boolean;
}

export interface ContainerPlacement {
  readonly pid: number;
  /**
   * Moves a detached mount to /dev/loopfs, in place of one whose server has gone. All or nothing: what was made is taken
   * away if a later step fails. The descriptor stays the caller's, to be closed at any time afterwards.
   */
  mount(mountFd: number): Promise<void>;
  /** The symlink /dev/NAME for a node of the instance: `loop3`, `loop3p1`. */
  addNode(name: string): Promise<void>;
  /** Never removes what is not this symlink. */
  removeNode(name: string): Promise<void>;
  /** Takes the mount of this object and all symlinks away. */
  unplace(): Promise<void>;
  /** Leaves everything in place, and lets go of the file system that the container's root is on. */
  close(): void;
}

/** All its promises reject with ERR_CONTAINER_DEV. @throws ERR_NO_CONTAINER, ERR_CONTAINER_DEV */
export async function openContainerPlacement(
  native: NativeAddon,
  { pid, startTicks, root = '/', replace = false }: ContainerOptions,
): Promise<ContainerPlacement> {
  const facts = readContainer(pid);
  if (startTicks !== undefined && startTicks !== facts.startTicks)
    throw createError('ERR_NO_CONTAINER', { pid, reason: 'its number is in use again' });
  const attempt = boundCalls();
  const namespace = await attempt(() =>
    native.openMountNamespace(pid, facts.startTicks, facts.rootUid, facts.rootGid, root),
  );
  return createPlacement(namespace, attempt, pid, replace);
}

function createPlacement(
  namespace: MountNamespace,
  attempt: Attempt,
  pid: number,
  replace: boolean,
): ContainerPlacement {
  const linked = new Set<string>();
  let mountId: number | undefined;
  // One after the other: of a container that hangs only one thread is ever lost.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const turn = last.then(step);
    last = turn.catch(() => {});
    return turn;
  };
  const link = async (name: string): Promise<void> => {
    await attempt(() => namespace.link(`/dev/${name}`, `${FOLDER}/${name}`, replace));
    linked.add(name);
  };
  const unlink = async (name: string): Promise<void> => {
    await attempt(() => namespace.unlink(`/dev/${name}`, `${FOLDER}/${name}`));
    linked.delete(name);
  };
  const unmount = async (): Promise<void> => {
    const id = mountId;
    mountId = undefined;
    if (id !== undefined) await attempt(() => namespace.unplace(TARGET, id));
  };

  return {
    pid,
    mount: (mountFd) =>
      inTurn(async () => {
        await attempt(() => namespace.unplaceDead(TARGET));
        mountId = await attempt(() => namespace.place(mountFd, TARGET));
        try {
          await link(CONTROL);
        } catch (error) {
          // The first error is what counts.
          await unmount().catch(() => {});
          throw error;
        }
      }),
    addNode: (name) =>
      inTurn(async () => {
        requireNodeName(name);
        await link(name);
      }),
    removeNode: (name) =>
      inTurn(async () => {
        requireNodeName(name);
        await unlink(name);
      }),
    unplace: () =>
      inTurn(async () => {
        // First what matters: nothing that the container did to the symlinks can keep the mount.
        await unmount();
        for (const name of [...linked]) await unlink(name);
      }),
    close: () => namespace.close(),
  };
}

function requireNodeName(name: string): void {
  if (!NODE.test(name)) throw new TypeError(`not a node of an instance: ${JSON.stringify(name)}`);
}
