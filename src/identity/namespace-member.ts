/** A living process of a namespace: what it is in, one that has ended was in too. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export type NamespaceKind = 'mnt' | 'user';

/** A walk over /proc: no more often than this, whatever containers do. */
const WALK_INTERVAL_MS = 1000;

export interface NamespaceMembers {
  /** The cgroups of a process in that namespace, one for each hierarchy; as of the last walk. */
  cgroupText(kind: NamespaceKind, inum: number): string | undefined;
}

export function createNamespaceMembers(): NamespaceMembers {
  let members = new Map<string, number>();
  let walkedAtMs = Number.NEGATIVE_INFINITY;
  return {
    cgroupText(kind, inum) {
      if (performance.now() - walkedAtMs > WALK_INTERVAL_MS) {
        members = walk();
        walkedAtMs = performance.now();
      }
      const pid = members.get(`${kind}:[${inum}]`);
      if (pid === undefined) return undefined;
      try {
        const text = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
        return namespaceOf(pid, kind) === `${kind}:[${inum}]` ? text : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

/** The first of each: pids grow, so it is nearest to whoever made the namespace. The host's own are left out. */
function walk(): Map<string, number> {
  const members = new Map<string, number>();
  const own = new Set(KINDS.map((kind) => namespaceOf('self', kind)));
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    for (const kind of KINDS) {
      const namespace = namespaceOf(name, kind);
      if (namespace !== undefined && !own.has(namespace) && !members.has(namespace))
        members.set(namespace, Number(name));
    }
  }
  return members;
}

const KINDS: readonly NamespaceKind[] = ['mnt', 'user'];

function namespaceOf(pid: number | string, kind: NamespaceKind): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return undefined;
  }
}
