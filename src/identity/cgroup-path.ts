/** Whose a cgroup is, by its path alone. */
import type { CgroupIdentity } from './container.js';
import { CGROUPFS_POD_SHAPES, CONTAINER_SHAPES, componentsOf, POD_SHAPES, type Shape } from './shapes.js';

/** No host nests deeper; what follows is a container's own. */
const MAX_COMPONENTS = 64;
/** NAME_MAX. */
const MAX_ID_LENGTH = 255;

interface CompiledShape extends Shape {
  components: RegExp[];
  /** What its first component begins with, whatever the ids: most shapes end there. */
  prefix: string;
}

const compile = (shapes: readonly Shape[]): CompiledShape[] =>
  shapes.map((shape) => ({
    ...shape,
    components: componentsOf(shape),
    prefix: /^[^{/]*/.exec(shape.path)?.[0] ?? '',
  }));

const PODS = compile([...POD_SHAPES, ...CGROUPFS_POD_SHAPES]);
const CONTAINERS = compile(CONTAINER_SHAPES);

interface Match {
  shape: Shape;
  id: string | undefined;
  name: string | undefined;
  pod: string | undefined;
  begin: number;
  end: number;
}

/**
 * `path` as in /proc/PID/cgroup. The outermost container is the answer: what is below it, the container names itself.
 * What no shape fits is a systemd unit, or its last component with low confidence.
 */
export function identifyCgroup(path: string): CgroupIdentity {
  const parts = componentsOfPath(path);
  const unit = outermostUnit(parts);
  const found = findContainer(parts);
  if (found === undefined) return withoutContainer(parts, unit);
  const { container, pod } = found;
  const inner = findContainer(parts.slice(container.end))?.container;
  const delegated = container.shape.delegated ?? isDelegated(parts.slice(0, container.begin));
  return {
    runtime: container.shape.runtime,
    id: container.id ?? pod ?? '',
    ...(container.name !== undefined && { name: container.name }),
    ...(pod !== undefined && { pod }),
    ...(unit !== undefined && { unit }),
    ...(inner && { nested: { runtime: inner.shape.runtime, id: inner.id ?? inner.pod ?? '' } }),
    ...(delegated && { delegated }),
    confidence: delegated ? 'low' : (container.shape.confidence ?? 'high'),
  };
}

/** Without empty ones, and without those that lead out of a cgroup namespace. */
function componentsOfPath(path: string): string[] {
  return path
    .replace(/ \(deleted\)$/, '')
    .split('/', MAX_COMPONENTS * 2)
    .filter((part) => part !== '' && part !== '.' && part !== '..')
    .slice(0, MAX_COMPONENTS)
    .map((part) => part.slice(0, MAX_ID_LENGTH));
}

function findContainer(parts: readonly string[]): { container: Match; pod: string | undefined } | undefined {
  let pod: Match | undefined;
  for (let at = 0; at < parts.length; at++) {
    if (pod === undefined) {
      pod = firstMatch(PODS, parts, at, -1);
      if (pod?.id !== undefined) return { container: pod, pod: pod.pod };
      if (pod !== undefined) at = pod.end;
    }
    const container = firstMatch(CONTAINERS, parts, at, pod?.end ?? -1);
    if (container !== undefined) return { container, pod: pod?.pod };
  }
  // A process in the pod's own cgroup.
  return pod && { container: pod, pod: pod.pod };
}

function firstMatch(
  shapes: readonly CompiledShape[],
  parts: readonly string[],
  begin: number,
  podEnd: number,
): Match | undefined {
  const first = parts[begin] ?? '';
  for (const shape of shapes) {
    if (!first.startsWith(shape.prefix)) continue;
    if (shape.place === 'top' && begin !== 0) continue;
    if (shape.place === 'pod' && begin !== podEnd) continue;
    const groups = matchAt(shape.components, parts, begin);
    if (groups === undefined) continue;
    const name = groups.unit === undefined ? groups.name : unescapeUnit(groups.unit);
    return {
      shape,
      id: groups.id ?? name,
      name,
      pod: groups.pod?.replaceAll('_', '-'),
      begin,
      end: begin + shape.components.length,
    };
  }
  return undefined;
}

function matchAt(
  components: readonly RegExp[],
  parts: readonly string[],
  begin: number,
): Partial<Record<string, string>> | undefined {
  const groups: Partial<Record<string, string>> = {};
  for (const [offset, component] of components.entries()) {
    const match = component.exec(parts[begin + offset] ?? '');
    if (match === null) return undefined;
    Object.assign(groups, match.groups);
  }
  return groups;
}

function isDelegated(above: readonly string[]): boolean {
  return above.some((part) => UNIT.test(part) && !part.endsWith('.slice') && !MANAGERS.has(part));
}

const UNIT = /^[A-Za-z0-9:_.\\@-]{1,248}\.(?:service|scope|slice|mount|socket|swap)$/;

const MANAGERS: ReadonlySet<string> = new Set([
  'init.scope',
  'docker.service',
  'containerd.service',
  'crio.service',
  'kubelet.service',
  'k3s.service',
  'k3s-agent.service',
  'rke2-server.service',
  'rke2-agent.service',
  'buildkit.service',
  'garden.service',
  'nomad.service',
  'slurmd.service',
]);

function outermostUnit(parts: readonly string[]): string | undefined {
  const unit = parts.find((part) => !part.endsWith('.slice'));
  return unit !== undefined && UNIT.test(unit) ? unit : undefined;
}

function withoutContainer(parts: readonly string[], unit: string | undefined): CgroupIdentity {
  const last = parts.at(-1);
  if (last === undefined) return { runtime: 'host', id: '/', confidence: 'high' };
  if (unit !== undefined) {
    const inner = parts.slice(parts.indexOf(unit) + 1).findLast((part) => UNIT.test(part));
    const nested: CgroupIdentity['nested'] =
      inner === undefined ? undefined : { runtime: 'systemd', id: inner };
    return { runtime: 'systemd', id: unit, unit, ...(nested && { nested }), confidence: 'high' };
  }
  if (parts.every((part) => UNIT.test(part))) return { runtime: 'systemd', id: last, confidence: 'high' };
  return { runtime: 'unknown', id: last, confidence: 'low' };
}

/** systemd writes a byte that a unit's name may not have as \xHH. */
export function unescapeUnit(name: string): string {
  if (!name.includes('\\x')) return name;
  const bytes = Buffer.from(name).toString('latin1');
  const plain = bytes.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  return Buffer.from(plain, 'latin1').toString();
}
