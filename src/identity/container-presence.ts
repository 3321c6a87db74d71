/** Whether a container is still there: by its cgroup, which its runtime removes with it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type MountEntry, readMounts } from '../kernel/mountinfo.js';
import { wholeHierarchies } from './cgroup-hierarchy.js';
import { type Container, isContainer } from './container.js';

/** True only if it was there and has gone: false for what is no container, and for what cannot be told. */
export type IsContainerGone = (container: Container) => boolean;

export function createContainerPresence(mounts: readonly MountEntry[] = readMounts()): IsContainerGone {
  const hierarchies = wholeHierarchies(mounts).map(({ point }) => point);
  return (container) => {
    const path = isContainer(container) ? cgroupOfContainer(container) : undefined;
    if (path === undefined || hierarchies.length === 0) return false;
    return hierarchies.every((point) => !existsSync(join(point, path)));
  };
}

/**
 * A caller may have been in a cgroup below its container's, a service of a container's own systemd for one, which goes
 * long before it. So it is the outermost folder that has the container's id in its name.
 */
export function cgroupOfContainer({ cgroup, id }: Container): string | undefined {
  const components = cgroup.split('/').filter(Boolean);
  // Outside of our own cgroup namespace.
  if (id === '' || components.includes('..')) return undefined;
  const at = components.findIndex((component) => component.includes(id));
  return at === -1 ? undefined : `/${components.slice(0, at + 1).join('/')}`;
}
