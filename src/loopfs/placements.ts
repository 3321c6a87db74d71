/** The containers that instances are in: what the loopfs process calls to have an instance, and its nodes, placed. */
import type { NativeAddon } from '../kernel/native.js';
import { type ContainerPlacement, openContainerPlacement } from './container-placement.js';

/** Clock ticks after boot name, with the pid, one process for good. */
interface ContainerProcess {
  pid: number;
  startTime: string;
}

interface PlacementRequest {
  name: string;
  container: ContainerProcess;
  mountFd: number;
  nodes: readonly string[];
  /** Where the container's root is while its runtime still sets it up. */
  root?: string;
}

export interface Placements {
  /** All or nothing; in place of a mount whose server has gone. @throws ERR_NO_CONTAINER, ERR_CONTAINER_DEV */
  place(request: PlacementRequest): Promise<void>;
  /** A node came or goes: its symlink in the container's /dev. */
  onNode(name: string, container: ContainerProcess, node: string, present: boolean): Promise<void>;
  /** Takes the mount and all symlinks of an instance away. Nothing to do for one that is not placed. */
  unplace(name: string): Promise<void>;
  /** The instance has ended: lets go of the container, which may have ended too. */
  release(name: string): void;
  close(): void;
}

export function createPlacements(native: NativeAddon): Placements {
  const byName = new Map<string, ContainerPlacement>();

  const release = (name: string): void => {
    byName.get(name)?.close();
    byName.delete(name);
  };
  const open = async (name: string, { pid, startTime }: ContainerProcess, root?: string) => {
    const opened = await openContainerPlacement(native, {
      pid,
      startTicks: Number(startTime),
      ...(root === undefined ? {} : { root }),
    });
    release(name);
    byName.set(name, opened);
    return opened;
  };

  return {
    async place({ name, container, mountFd, nodes, root }) {
      const placement = await open(name, container, root);
      try {
        await placement.mount(mountFd);
        for (const node of nodes) await placement.addNode(node);
      } catch (error) {
        // The first error is what counts.
        await placement.unplace().catch(() => {});
        release(name);
        throw error;
      }
    },
    async onNode(name, container, node, present) {
      const placement = byName.get(name) ?? (await open(name, container));
      await (present ? placement.addNode(node) : placement.removeNode(node));
    },
    async unplace(name) {
      try {
        await byName.get(name)?.unplace();
      } finally {
        release(name);
      }
    },
    release,
    close() {
      for (const name of [...byName.keys()]) release(name);
    },
  };
}
