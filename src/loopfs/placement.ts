/** One instance in one container: its mount on /dev/loopfs, and the symlinks by which losetup finds what is in it. */
import { setTimeout as delay } from 'node:timers/promises';
import { createError, LoopwardenError, reasonOf } from '../errors.js';
import type { MountNamespace, NativeAddon, NativeError } from '../kernel/native.js';
import { readContainer } from './container.js';

/** The folder, not /dev/loop: losetup would look for bare numbers in a folder of that name. */
const FOLDER = 'loopfs';
const TARGET = `/dev/${FOLDER}`;
const CONTROL = 'loop-control';
const NODE = /^loop\d{1,7}(p\d{1,3})?$/;
/** A file system that the container serves itself may never answer; the thread that waits for it is then lost. */
const DEADLINE_MS = 5000;

export interface Instance {
  name: string;
  /** A detached mount of it. Stays the caller's, to be closed at any time after `place` settled. */
  mountFd: number;
}

export interface PlacementOptions {
  pid: number;
  /** Path of the container's root in its mount namespace while the runtime still sets it up; else `/`. */
  root?: string;
  /** Whether a node /dev/loop-control or /dev/loopN of the container's own gives way. */
  replace?: boolean;
}

export interface Placement {
  readonly pid: number;
  readonly instance: string;
  /** Of the placed mount: nothing else in the container is ever unmounted. */
  readonly mountId: number;
  /** The symlink /dev/NAME for a node of the instance: `loop3`, `loop3p1`. */
  addNode(name: string): Promise<void>;
  /** Never removes what is not this symlink. */
  removeNode(name: string): Promise<void>;
  /** Takes mount and symlinks away, whatever the container did to them. Then `close` is implied. */
  unplace(): Promise<void>;
  /** Leaves everything in place, and lets go of the file system that the container's root is on. */
  close(): void;
}

/**
 * All or nothing: what was made is taken away if a later step fails.
 * @throws ERR_NO_CONTAINER, ERR_PLACEMENT
 */
export async function place(
  native: NativeAddon,
  instance: Instance,
  { pid, root = '/', replace = false }: PlacementOptions,
): Promise<Placement> {
  const { startTicks, rootUid, rootGid } = readContainer(pid);
  const attempt = boundedBy(pid);
  const namespace = await attempt(() => native.openMountNamespace(pid, startTicks, rootUid, rootGid, root));
  try {
    const mountId = await attempt(() => namespace.place(instance.mountFd, TARGET));
    try {
      await attempt(() => namespace.link(`/dev/${CONTROL}`, `${FOLDER}/${CONTROL}`, replace));
    } catch (error) {
      // The first error is what counts.
      await attempt(() => namespace.unplace(TARGET, mountId)).catch(() => {});
      throw error;
    }
    return createPlacement(namespace, attempt, { pid, instance: instance.name, mountId, replace });
  } catch (error) {
    namespace.close();
    throw error;
  }
}

type Attempt = <T>(start: () => Promise<T>) => Promise<T>;

function createPlacement(
  namespace: MountNamespace,
  attempt: Attempt,
  { pid, instance, mountId, replace }: { pid: number; instance: string; mountId: number; replace: boolean },
): Placement {
  const linked = new Set([CONTROL]);
  // One after the other: of a container that hangs only one thread is ever lost.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const turn = last.then(step);
    last = turn.catch(() => {});
    return turn;
  };
  const unlink = (name: string): Promise<boolean> =>
    attempt(() => namespace.unlink(`/dev/${name}`, `${FOLDER}/${name}`));

  return {
    pid,
    instance,
    mountId,
    addNode: (name) =>
      inTurn(async () => {
        requireNodeName(name);
        await attempt(() => namespace.link(`/dev/${name}`, `${FOLDER}/${name}`, replace));
        linked.add(name);
      }),
    removeNode: (name) =>
      inTurn(async () => {
        requireNodeName(name);
        linked.delete(name);
        await unlink(name);
      }),
    unplace: () =>
      inTurn(async () => {
        try {
          // First what matters; whatever the container did to the symlinks cannot keep the mount.
          await attempt(() => namespace.unplace(TARGET, mountId));
          for (const name of linked) await unlink(name);
        } finally {
          namespace.close();
        }
      }),
    close: () => namespace.close(),
  };
}

/** After a call that never came back nothing more is tried in that container. */
function boundedBy(pid: number): Attempt {
  let stuck = false;
  return async (start) => {
    if (stuck) throw createError('ERR_PLACEMENT', { pid, reason: 'an earlier call still waits for it' });
    const timer = new AbortController();
    const deadline = delay(DEADLINE_MS, undefined, { signal: timer.signal }).then(() => {
      stuck = true;
      throw createError('ERR_PLACEMENT', { pid, reason: `no answer within ${DEADLINE_MS} ms` });
    });
    deadline.catch(() => {});
    try {
      return await Promise.race([start(), deadline]);
    } catch (error) {
      throw error instanceof LoopwardenError ? error : placementError(pid, error);
    } finally {
      timer.abort();
    }
  };
}

const WORDS: Readonly<Record<string, string>> = {
  EROFS: 'its /dev is read-only',
  ENOENT: 'it has no /dev',
  EEXIST: 'there is a node of its own',
  ELOOP: 'a symlink is in the way',
  ENOTDIR: 'a file is in the way',
  ESRCH: 'the process is gone',
};

function placementError(pid: number, error: unknown): LoopwardenError {
  const words = WORDS[(error as NativeError).code];
  const reason = words === undefined ? reasonOf(error) : `${words} (${reasonOf(error)})`;
  return createError('ERR_PLACEMENT', { pid, reason }, { cause: error });
}

function requireNodeName(name: string): void {
  if (!NODE.test(name)) throw new TypeError(`not a node of an instance: ${JSON.stringify(name)}`);
}
