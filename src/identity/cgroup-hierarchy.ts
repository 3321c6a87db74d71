/** The unified hierarchy of cgroups: from the id that the kernel records to the path. */
import { reasonOf } from '../errors.js';
import { type MountEntry, readMounts } from '../kernel/mountinfo.js';
import type { NativeAddon } from '../kernel/native.js';

export interface CgroupHierarchy {
  /** As in /proc/PID/cgroup. Undefined if the cgroup is gone, or the kernel does not let us look. */
  pathOf(id: bigint): string | undefined;
}

/** `onRefused` is called once, if the kernel does not let us look. */
export function openCgroupHierarchy(
  native: Pick<NativeAddon, 'cgroupPath'>,
  onRefused: (reason: string) => void,
): CgroupHierarchy {
  const mount = findCgroup2(readMounts());
  let refused = false;
  return {
    pathOf(id) {
      if (mount === undefined) return undefined;
      try {
        const path = native.cgroupPath(mount, id);
        // Outside of a cgroup namespace of our own it is unreachable.
        return path?.startsWith(mount) ? path.slice(mount.length) || '/' : undefined;
      } catch (error) {
        if (!refused) onRefused(reasonOf(error));
        refused = true;
        return undefined;
      }
    },
  };
}

/** Where it is mounted from its root; undefined if it is not. */
export function findCgroup2(mounts: readonly MountEntry[]): string | undefined {
  return wholeHierarchies(mounts).find(({ type }) => type === 'cgroup2')?.point;
}

/**
 * Of each hierarchy of either version, one mount from its root. In a cgroup namespace a runtime's own mount begins at `/`, too, but has
 * only that namespace; the host's, which the chart mounts besides, is told as what is above it: `/../../..`.
 */
export function wholeHierarchies(mounts: readonly MountEntry[]): MountEntry[] {
  const highest = new Map<string, MountEntry>();
  for (const mount of mounts) {
    if (!/^cgroup2?$/.test(mount.type) || !/^(\/|(\/\.\.)+)$/.test(mount.root)) continue;
    const known = highest.get(mount.devno);
    if (known === undefined || known.root.length < mount.root.length) highest.set(mount.devno, mount);
  }
  return [...highest.values()];
}
