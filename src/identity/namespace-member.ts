/** A living process of a namespace: what it is in, one that has ended was in too. */
import type { NativeAddon } from '../kernel/native.js';

export type NamespaceKind = 'mnt' | 'user' | 'pid';

/** In the host's namespaces, also where the agent has a mount namespace of its own. */
export const HOST_PID = 1;

/** A walk over /proc: no more often than this, whatever containers do. */
const WALK_INTERVAL_MS = 1000;

export interface NamespaceMembers {
  /** The cgroups of a process in that namespace, one for each hierarchy; as of the last walk. */
  cgroupText(kind: NamespaceKind, inum: number): string | undefined;
}

type ProcessView = Pick<NativeAddon, 'listNamespaces' | 'processNamespace' | 'processText'>;

export function createNamespaceMembers(native: ProcessView): NamespaceMembers {
  let members: Record<NamespaceKind, Map<number, number>> = {
    mnt: new Map(),
    user: new Map(),
    pid: new Map(),
  };
  let walkedAtMs = Number.NEGATIVE_INFINITY;
  return {
    cgroupText(kind, inum) {
      if (performance.now() - walkedAtMs > WALK_INTERVAL_MS) {
        members = { mnt: walk(native, 'mnt'), user: walk(native, 'user'), pid: walk(native, 'pid') };
        walkedAtMs = performance.now();
      }
      const pid = members[kind].get(inum);
      if (pid === undefined) return undefined;
      const text = native.processText(pid, 'cgroup');
      return native.processNamespace(pid, kind) === inum ? text : undefined;
    },
  };
}

/** Inum → the first process in it: pids grow, so it is nearest to whoever made the namespace. The host's own is left out. */
function walk(native: ProcessView, kind: NamespaceKind): Map<number, number> {
  const members = new Map<number, number>();
  const hosts = native.processNamespace(HOST_PID, kind);
  const pairs = native.listNamespaces(kind);
  for (let at = 0; at < pairs.length; at += 8) {
    const inum = pairs.readUInt32LE(at + 4);
    if (inum !== hosts && !members.has(inum)) members.set(inum, pairs.readUInt32LE(at));
  }
  return members;
}
