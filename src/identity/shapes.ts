/**
 * How runtimes name their cgroups. The docs' table is made of this one.
 *
 * A path is its components, one for each folder. In braces stands what differs: {hex} 64 hexadecimal digits, {name} any
 * name, {unit} a name with systemd's escapes, and others below. The first shape that fits at a place is taken, so the
 * narrower comes first.
 */
import type { Confidence, Runtime } from './container.js';

export interface Shape {
  runtime: Runtime;
  path: string;
  /** Where it may begin: at the top of a hierarchy (or of a container's), right below a pod, or anywhere (default). */
  place?: 'top' | 'pod';
  /** `low` if others use such names too. */
  confidence?: Confidence;
  /** Where an ordinary user may make the folders. */
  delegated?: true;
}

/** A pod; its containers are below it, or in the same component. */
export const POD_SHAPES: readonly Shape[] = ['', 'kubelet-'].flatMap((prefix): Shape[] =>
  ['kubepods-pod', 'kubepods-burstable-pod', 'kubepods-besteffort-pod'].flatMap((qos): Shape[] => [
    { runtime: 'containerd', path: `${prefix}${qos}{pod}.slice:cri-containerd:{hex}` },
    { runtime: 'cri-o', path: `${prefix}${qos}{pod}.slice:crio:{hex}` },
    { runtime: 'docker', path: `${prefix}${qos}{pod}.slice:docker:{hex}` },
    { runtime: 'kubernetes', path: `${prefix}${qos}{pod}.slice` },
  ]),
);

export const CGROUPFS_POD_SHAPES: readonly Shape[] = [
  { runtime: 'kubernetes', path: 'kubepods/pod{pod}' },
  { runtime: 'kubernetes', path: 'kubepods/burstable/pod{pod}' },
  { runtime: 'kubernetes', path: 'kubepods/besteffort/pod{pod}' },
];

export const CONTAINER_SHAPES: readonly Shape[] = [
  { runtime: 'docker', path: 'docker-{hex}.scope' },
  { runtime: 'docker', path: 'docker/{hex}' },
  { runtime: 'docker', path: 'docker-ce/docker/{hex}' },
  { runtime: 'docker', path: 'system.slice:docker:{hex}' },
  { runtime: 'balena', path: 'balena/{hex}' },
  { runtime: 'balena', path: 'balena-{hex}.scope' },

  { runtime: 'containerd', path: 'cri-containerd-{hex}.scope' },
  { runtime: 'containerd', path: 'containerd-{hex}.scope' },
  { runtime: 'containerd', path: 'nerdctl-{hex}.scope' },
  { runtime: 'containerd', path: 'system.slice:cri-containerd:{hex}' },
  { runtime: 'containerd', path: 'system.slice:nerdctl:{hex}' },
  { runtime: 'containerd', path: 'k8s.io/{hex}', place: 'top' },
  { runtime: 'docker', path: 'moby/{hex}', place: 'top' },
  { runtime: 'containerd', path: 'default/{hex}', place: 'top' },
  { runtime: 'containerd', path: 'default/{name}', place: 'top', confidence: 'low' },

  { runtime: 'cri-o', path: 'crio-{hex}.scope' },
  { runtime: 'cri-o', path: 'crio-conmon-{hex}.scope' },
  { runtime: 'cri-o', path: 'crio-{hex}' },
  { runtime: 'cri-o', path: 'crio-conmon-{hex}' },

  { runtime: 'podman', path: 'libpod-{hex}.scope' },
  { runtime: 'podman', path: 'libpod-conmon-{hex}.scope' },
  { runtime: 'podman', path: '{service}/libpod-payload-{hex}' },
  { runtime: 'podman', path: 'libpod_parent/libpod-{hex}' },
  { runtime: 'podman', path: 'libpod_parent/libpod-conmon-{hex}' },
  { runtime: 'podman', path: 'libpod_parent/{hex64}/libpod-{hex}' },
  { runtime: 'podman', path: 'libpod_parent/{hex64}/libpod-conmon-{hex}' },
  { runtime: 'buildah', path: 'buildah-{buildah}.scope' },

  { runtime: 'ecs', path: 'ecs/{task}/{fargate}', place: 'top' },
  { runtime: 'ecs', path: 'ecs/{task}/{hex}', place: 'top' },
  { runtime: 'ecs', path: 'ecs/{name64}/{task}/{hex}', place: 'top' },
  { runtime: 'ecs', path: 'ecstasks-{task}.slice/docker-{hex}.scope' },

  { runtime: 'buildkit', path: 'buildkit/{base36}' },
  { runtime: 'buildkit', path: 'docker/buildkit/{base36}' },
  { runtime: 'buildkit', path: 'buildkit-{base36}.scope' },
  { runtime: 'buildkit', path: 'docker-buildkit-{base36}.scope' },
  { runtime: 'buildkit', path: 'system.slice:buildkit:{base36}' },

  { runtime: 'lxc', path: 'lxc.payload.{name}' },
  { runtime: 'lxc', path: 'lxc.payload/{name}' },
  { runtime: 'lxc', path: 'lxc.monitor.{name}' },
  { runtime: 'lxc', path: 'lxc.monitor/{name}' },
  { runtime: 'lxc', path: 'lxc/{name}', place: 'top' },
  { runtime: 'lxc', path: 'user/{digits}.user/{digits}.session/lxc/{name}', place: 'top', delegated: true },

  { runtime: 'libvirt', path: 'machine.slice/machine-qemu\\x2d{digits}\\x2d{unit}.scope' },
  { runtime: 'libvirt', path: 'machine.slice/machine-lxc\\x2d{digits}\\x2d{unit}.scope' },
  { runtime: 'libvirt', path: 'machine/qemu-{digits}-{name}.libvirt-qemu', place: 'top' },
  { runtime: 'libvirt', path: 'machine/lxc-{digits}-{name}.libvirt-lxc', place: 'top' },
  { runtime: 'rkt', path: 'machine.slice/machine-rkt\\x2d{unit}.scope' },
  { runtime: 'nspawn', path: 'machine.slice/machine-{unit}.scope' },
  { runtime: 'nspawn', path: 'machine.slice/systemd-nspawn@{unit}.service' },
  { runtime: 'nspawn', path: 'system.slice/systemd-nspawn@{unit}.service' },

  { runtime: 'apptainer', path: 'apptainer-{number}.scope' },
  { runtime: 'apptainer', path: 'apptainer/{number}' },
  { runtime: 'singularity', path: 'singularity-{number}.scope' },
  { runtime: 'singularity', path: 'singularity/{number}' },

  // Where BOSH runs Garden itself in a container.
  { runtime: 'garden', path: 'runc-bpm-garden.scope/garden/{handle}' },
  { runtime: 'garden', path: 'garden/good/{handle}' },
  { runtime: 'garden', path: 'garden/bad/{handle}' },
  { runtime: 'garden', path: 'garden/{handle}' },

  { runtime: 'github-actions', path: 'actions.runner.{unit}.service' },
  { runtime: 'github-actions', path: 'actions_job/{hex}', place: 'top' },

  { runtime: 'nomad', path: 'nomad.slice/{alloc}.scope' },
  { runtime: 'nomad', path: 'nomad.slice/share.slice/{alloc}.scope' },
  { runtime: 'nomad', path: 'nomad.slice/reserve.slice/{alloc}.scope' },
  { runtime: 'nomad', path: 'nomad/{nomadv1}', place: 'top' },
  { runtime: 'mesos', path: 'mesos/{uuid}', place: 'top' },
  { runtime: 'slurm', path: 'slurm/uid_{digits}/job_{number}', place: 'top' },
  { runtime: 'slurm', path: 'slurm_{name64}/uid_{digits}/job_{number}', place: 'top' },
  { runtime: 'slurm', path: 'system.slice/slurmstepd.scope/job_{number}' },
  { runtime: 'slurm', path: 'system.slice/{slurmd}_slurmstepd.scope/job_{number}' },
  { runtime: 'kata', path: 'kata_overhead/{hex}', place: 'top' },
  { runtime: 'kata', path: 'kata_{hex}' },

  { runtime: 'crun', path: 'crun-{unit}.scope' },
  { runtime: 'crun', path: 'crun/{name}', place: 'top' },
  { runtime: 'runc', path: 'runc-{unit}.scope' },
  { runtime: 'runc', path: 'system.slice:runc:{name}' },
  { runtime: 'youki', path: 'youki-{unit}.scope' },
  { runtime: 'youki', path: 'youki/{name}', place: 'top' },
  { runtime: 'flatpak', path: 'app-flatpak-{unit}.scope' },

  { runtime: 'kubernetes', path: '{hex}', place: 'pod' },
  // A cgroup parent of somebody's own choice: docker --cgroup-parent, runc with a path in its bundle.
  { runtime: 'oci', path: '{hex}', confidence: 'low' },
];

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const NAME = '[^\\0]{1,255}?';

/** What stands for each word in braces. What is read from it has a group; a `unit` is a name with escapes. */
const PLACEHOLDERS: Readonly<Record<string, string>> = {
  hex: '(?<id>[0-9a-f]{64})',
  name: `(?<name>${NAME})`,
  unit: `(?<unit>${NAME})`,
  uuid: `(?<id>${UUID})`,
  number: '(?<id>\\d{1,10})',
  // Of BuildKit: 25 digits of base 36.
  base36: '(?<id>[0-9a-z]{25})',
  buildah: '(?<id>buildah\\d{1,19})',
  // Garden's callers choose it; Diego's and Concourse's are groups of hexadecimal digits.
  handle: '(?<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3,4}(?:[0-9a-f]{8})?(?:-[0-9a-z-]{1,64})?)',
  alloc: `(?<id>${UUID}\\.[^\\0]{1,128}?)`,
  nomadv1: `(?<id>${UUID}-[^\\0]{1,128})`,
  fargate: '(?<id>[0-9a-f]{32}-\\d{1,10})',
  // As the kubelet has it: with dashes, underlined in units, or the hash of a static pod's manifest.
  pod: '(?<pod>[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})',
  task: `(?:${UUID}|[0-9a-f]{32})`,
  hex64: '[0-9a-f]{64}',
  digits: '\\d{1,10}',
  name64: '[A-Za-z0-9_.-]{1,64}',
  slurmd: '[A-Za-z0-9_.-]{1,64}',
  service: '[^\\0]{1,251}?\\.service',
};

/** One expression for each component. */
export function componentsOf({ path }: Shape): RegExp[] {
  return path.split('/').map((component) => {
    const source = component
      .split(/(\{[a-z0-9]+\})/)
      .map((part) => PLACEHOLDERS[part.slice(1, -1)] ?? part.replace(/[.\\:@+]/g, '\\$&'))
      .join('');
    return new RegExp(`^${source}$`);
  });
}
