/**
 * Who is on `receivers.allow`. Each rule asks for what only the host can give: what a process says of itself (its name, its
 * path in a mount namespace of its own, cgroups below its own, units of a user's own manager) never counts.
 */
import type { ReceiverRule } from '../config/receiver-rule.js';
import { type Container, isContainer } from '../identity/container.js';

/** A process that has a uevent socket, as the kernel knows both. */
export interface Listener {
  pid: number;
  /** Effective uid and user namespace of the credentials that opened the socket. */
  uid: number;
  userns: bigint;
  usernsLevel: number;
  /** How deep the process's pid namespace is below the host's. */
  pidnsLevel: number;
  /** What its cgroup tells. */
  container: Container;
  /** Its cgroups now, one for each hierarchy; empty if it has ended. */
  cgroups(): readonly string[];
}

export interface AllowList {
  /** The first rule that it meets, as the config has it; undefined: none. */
  ruleFor(listener: Listener): string | undefined;
}

export interface AllowListOptions {
  rules: readonly ReceiverRule[];
  /** Whether the process runs the file that the host has at this path. */
  runsExecutable(pid: number, path: string): boolean;
  /** Id of the user namespace that has this inum now; undefined if there is none. */
  usernsOf(inum: number): bigint | undefined;
}

export function createAllowList({ rules, runsExecutable, usernsOf }: AllowListOptions): AllowList {
  // Inums are given again: one stands for whom it names now, and for nobody later.
  const named = new Map(
    rules.flatMap((rule) => {
      if (rule.kind !== 'userns') return [];
      const id = rule.number <= 0xffff_ffffn ? usernsOf(Number(rule.number)) : undefined;
      return [[rule.number, id ?? rule.number] as const];
    }),
  );

  const meets = (rule: ReceiverRule, listener: Listener): boolean => {
    const { pid, uid, userns, usernsLevel, pidnsLevel, container } = listener;
    const isHosts = usernsLevel === 0 && pidnsLevel === 0;
    switch (rule.kind) {
      // Anybody may run it, with a library of his own before all others: it has to be the host's root.
      case 'executable':
        return isHosts && uid === 0 && runsExecutable(pid, rule.path);
      // A container that a unit runs in its own cgroup is not the unit.
      case 'unit':
        return isHosts && container.unit === rule.name && !isContainer(container);
      case 'cgroup':
        return listener.cgroups().some((path) => path === rule.path || path.startsWith(`${rule.path}/`));
      case 'container':
        return bearsName(container, rule.name);
      case 'userns':
        return userns === named.get(rule.number);
    }
  };

  return { ruleFor: (listener) => rules.find((rule) => meets(rule, listener))?.text };
}

/**
 * Names that the host's manager chose or wrote down. Only Kubernetes has some with slashes: elsewhere one component of a path,
 * with an escaped slash in it, could look like them.
 */
function bearsName(container: Container, pattern: string): boolean {
  const { name, pod, confidence, delegated, source } = container;
  if (name === undefined || confidence !== 'high' || delegated || source === 'namespace') return false;
  const wanted = pattern.split('/');
  const found = name.split('/');
  if (wanted.length !== found.length || (wanted.length > 1 && pod === undefined)) return false;
  if (!isInFolderOfHost(container)) return false;
  return wanted.every((part, at) => {
    const component = found[at] ?? '';
    return part.endsWith('*') ? component.startsWith(part.slice(0, -1)) : component === part;
  });
}

/** What runtimes make for their containers; a container whose cgroup no shape fits may make folders of any name in it. */
const FOLDERS_OF_HOST =
  /^(.+\.slice|docker|balena|moby|k8s\.io|kubelet|kubepods|burstable|besteffort|pod[0-9a-f-]+|libpod_parent|lxc|machine)$/;

function isInFolderOfHost({ cgroup, id }: Container): boolean {
  const parts = cgroup.split('/').filter(Boolean);
  const own = parts.findIndex((part) => part.includes(id));
  return own !== -1 && parts.slice(0, own).every((part) => FOLDERS_OF_HOST.test(part));
}
