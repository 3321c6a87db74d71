/** The containers that instances are in: what the loopfs process calls to have an instance, and its nodes, placed. */
import type { NativeAddon } from '../kernel/native.js';
import { type ContainerPlacement, openContainerPlacement } from './container-placement.js';
import type { Placement } from './placement.js';
import type { ContainerProcess } from './state-file.js';

/** What is placed is all or nothing, in place of a mount whose server has gone. Throws ERR_NO_CONTAINER, ERR_CONTAINER_DEV. */
export function createPlacements(native: NativeAddon): Placement {
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
    async onNode(name, node, present) {
      // None: the instance has ended meanwhile.
      const placement = byName.get(name);
      await (present ? placement?.addNode(node) : placement?.removeNode(node));
    },
    async unplace(name) {
      const placement = byName.get(name);
      // First: the name may be given again while we wait for the container.
      byName.delete(name);
      try {
        await placement?.unplace();
      } finally {
        placement?.close();
      }
    },
    release,
    close() {
      for (const name of [...byName.keys()]) release(name);
    },
  };
}
