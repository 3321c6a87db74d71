/** Whose a cgroup is: what the paths and the runtimes' own files tell. */

/** Closed: a label of metrics. `oci`: a container of a runtime that its cgroup does not name. */
export const RUNTIMES = [
  'docker',
  'containerd',
  'cri-o',
  'podman',
  'kubernetes',
  'ecs',
  'buildkit',
  'buildah',
  'lxc',
  'lxd',
  'incus',
  'nspawn',
  'libvirt',
  'apptainer',
  'singularity',
  'garden',
  'github-actions',
  'nomad',
  'mesos',
  'slurm',
  'kata',
  'rkt',
  'balena',
  'crun',
  'runc',
  'youki',
  'flatpak',
  'oci',
  'systemd',
  'host',
  'unknown',
] as const;
export type Runtime = (typeof RUNTIMES)[number];

/** high: the host's own manager chose the name; low: whoever is inside could have, or it is a guess. */
export type Confidence = 'high' | 'low';

export interface CgroupIdentity {
  runtime: Runtime;
  id: string;
  /** Where the cgroup is named by what a person called it. In Kubernetes `NAMESPACE/POD/CONTAINER`. */
  name?: string;
  /** Uid of the Kubernetes pod. */
  pod?: string;
  /** The outermost systemd unit: what is below it, systemd of the host does not know. */
  unit?: string;
  /** What a container calls the cgroup below its own: nobody else vouches for it. */
  nested?: { runtime: Runtime; id: string };
  /** Below a unit that is no runtime's: whoever runs in it may have made the folders. */
  delegated?: true;
  confidence: Confidence;
}

/** No units and no guesses. */
export function isContainer({ runtime }: CgroupIdentity): boolean {
  return runtime !== 'systemd' && runtime !== 'host' && runtime !== 'unknown';
}

export const SOURCES = [
  'cgroup',
  'docker state file',
  'podman state file',
  'containerd bundle',
  'cri-o bundle',
  'machine state file',
  'lxc folder',
  'namespace',
  'nothing',
] as const;
/** What told. `namespace`: another process in the same namespace; `nothing`: it was gone before it could be asked. */
export type Source = (typeof SOURCES)[number];

export interface Container extends CgroupIdentity {
  source: Source;
  /** Path in its hierarchy; empty if unknown. */
  cgroup: string;
}
