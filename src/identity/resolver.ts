/**
 * The container of a caller. Asked for at first sight, then remembered: also when the cgroup has gone.
 *
 * In the unified hierarchy a cgroup's id says it all, and is never given twice. Where there are others too (cgroup v1,
 * hybrid), a runtime may have used only those; then each process is asked for once.
 */
import { readFileSync } from 'node:fs';
import type { NativeAddon } from '../kernel/native.js';
import type { CgroupHierarchy } from './cgroup-hierarchy.js';
import { identifyCgroup } from './cgroup-path.js';
import { createClockMap } from './clock-map.js';
import { type CgroupIdentity, type Container, isContainer, type Source } from './container.js';
import { lookUpName, type Named } from './names.js';
import { createNamespaceMembers, HOST_PID, type NamespaceKind } from './namespace-member.js';
import { cgroupPathsOf, type ProcessIdentity, parseCgroups } from './process-cgroup.js';

/** Of a record's caller. */
export interface CallerPlace extends ProcessIdentity {
  cgroupId: bigint;
  /** Inum of the mount namespace. */
  mntns: number;
}

export interface ContainerResolver {
  containerOf(caller: CallerPlace): Container;
  /** That of a process in the user namespace with this inum; undefined if there is none now. */
  containerOfUserns(inum: number): Container | undefined;
  /** The same of a pid namespace. */
  containerOfPidns(inum: number): Container | undefined;
}

export interface ContainerResolverOptions {
  hierarchy: CgroupHierarchy;
  native: Pick<NativeAddon, 'listNamespaces' | 'processNamespace' | 'processText'>;
  /** Most cgroups, processes and names that are remembered, each. */
  capacity?: number;
  /** Where the runtimes' files are. */
  root?: string;
  /** Whether the unified hierarchy is the only one. */
  unified?: boolean;
}

const CAPACITY = 4096;

export function createContainerResolver({
  hierarchy,
  native,
  capacity = CAPACITY,
  root = '/',
  unified = isUnified(),
}: ContainerResolverOptions): ContainerResolver {
  const byCgroup = createClockMap<bigint, Container>(capacity);
  // The moment of its start names a process: pids are given again.
  const byProcess = createClockMap<bigint, { pid: number; container: Container }>(capacity);
  const names = createClockMap<string, { named: Named | undefined }>(capacity);
  const members = createNamespaceMembers(native);
  const hostMntns = native.processNamespace(HOST_PID, 'mnt');

  const nameOf = (identity: CgroupIdentity): Named | undefined => {
    const key = `${identity.runtime}/${identity.id}${identity.delegated ? '/' : ''}`;
    const known = names.get(key);
    if (known !== undefined) return known.named;
    const named = lookUpName(identity, root);
    names.set(key, { named });
    return named;
  };

  const describe = (cgroup: string, source: Source = 'cgroup'): Container => {
    const identity = identifyCgroup(cgroup);
    const named = isContainer(identity) ? nameOf(identity) : undefined;
    const pod = identity.pod ?? named?.pod;
    return {
      ...identity,
      ...(named?.runtime && { runtime: named.runtime }),
      ...(named?.name !== undefined && { name: named.name }),
      ...(pod !== undefined && { pod }),
      ...(named && { confidence: 'high' }),
      ...(source === 'namespace' && { confidence: 'low' }),
      source: source === 'cgroup' ? (named?.source ?? 'cgroup') : source,
      cgroup,
    };
  };

  const forProcess = (caller: CallerPlace, container: Container): Container => {
    byProcess.set(caller.startBootNs, { pid: caller.pid, container });
    return container;
  };

  const resolve = (caller: CallerPlace): Container => {
    const path = hierarchy.pathOf(caller.cgroupId);
    if (path !== undefined && (unified || isContainer(identifyCgroup(path)))) {
      const container = describe(path);
      byCgroup.set(caller.cgroupId, container);
      return container;
    }
    const paths = cgroupPathsOf(native, caller);
    if (paths !== undefined) return forProcess(caller, describe(bestOf(paths)));
    const member = caller.mntns === hostMntns ? undefined : members.cgroupText('mnt', caller.mntns);
    const theirs = member === undefined ? undefined : bestOf(parseCgroups(member));
    if (theirs !== undefined && isContainer(identifyCgroup(theirs)))
      return forProcess(caller, describe(theirs, 'namespace'));
    return forProcess(caller, path === undefined ? gone(caller) : describe(path));
  };

  const memberContainer = (kind: NamespaceKind, inum: number): Container | undefined => {
    const text = members.cgroupText(kind, inum);
    return text === undefined ? undefined : describe(bestOf(parseCgroups(text)), 'namespace');
  };

  return {
    containerOf(caller) {
      const known = byCgroup.get(caller.cgroupId);
      if (known !== undefined) return known;
      const process = byProcess.get(caller.startBootNs);
      return process?.pid === caller.pid ? process.container : resolve(caller);
    },
    containerOfUserns: (inum) => memberContainer('user', inum),
    containerOfPidns: (inum) => memberContainer('pid', inum),
  };
}

/** The path that says most; in a hierarchy that a runtime did not use, its containers are where it is itself. */
export function bestOf(paths: readonly string[]): string {
  let best = '/';
  let bestRank = 0;
  for (const path of paths) {
    const rank = rankOf(identifyCgroup(path));
    if (rank > bestRank) [best, bestRank] = [path, rank];
  }
  return best;
}

function rankOf(identity: CgroupIdentity): number {
  if (identity.runtime === 'host') return 0;
  if (identity.runtime === 'unknown') return 1;
  if (identity.runtime === 'systemd') return 2;
  if (identity.runtime === 'oci') return 3;
  return identity.confidence === 'low' ? 4 : 5;
}

function gone({ cgroupId }: CallerPlace): Container {
  return { runtime: 'unknown', id: `cgroup ${cgroupId}`, confidence: 'low', source: 'nothing', cgroup: '' };
}

function isUnified(): boolean {
  return parseCgroups(readFileSync('/proc/self/cgroup', 'utf8')).length <= 1;
}
