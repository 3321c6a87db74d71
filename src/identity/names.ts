/**
 * The name of a container where its runtime keeps it on disk: no daemon is asked.
 *
 * Only files that root alone writes. Those of a rootless container belong to its user, whose own file system could make a
 * read hang; Podman's database (BoltDB, SQLite) is not read, but its storage keeps the names too.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupIdentity, Runtime, Source } from './container.js';
import { nameOfAnnotations } from './oci-names.js';
import { readStateFile, readStateJson, textAt } from './state-file.js';

export interface Named {
  name?: string;
  pod?: string;
  /** If the file tells it better than the path. */
  runtime?: Runtime;
  source: Source;
}

const MEBIBYTE = 1 << 20;
/** containers.json has an entry of about 1 KiB for each container of the host. */
const MAX_LIST_BYTES = 8 * MEBIBYTE;
const MAX_BUNDLES = 64;

const HEX_ID = /^[0-9a-f]{64}$/;
/** One component of a path, and not one that leads elsewhere. */
const PLAIN_NAME = /^(?!\.\.?$)[^/\0]{1,255}$/;

type Lookup = (root: string, id: string) => Named | undefined;

/** Undefined if no file of a runtime knows it. Reads files: for first sights only. `root`: where the host's files are. */
export function lookUpName({ runtime, id, delegated }: CgroupIdentity, root = '/'): Named | undefined {
  // An id that whoever is inside could have chosen must not borrow the name of another.
  if (delegated) return undefined;
  const known = HEX_ID.test(id) ? HEX_LOOKUPS[runtime] : NAME_LOOKUPS[runtime];
  if (known === undefined || !PLAIN_NAME.test(id)) return undefined;
  for (const lookup of known) {
    const named = lookup(root, id);
    if (named !== undefined) return named;
  }
  return undefined;
}

const docker: Lookup = (root, id) => {
  const path = join(root, 'var/lib/docker/containers', id, 'config.v2.json');
  const state = readStateJson(path, MEBIBYTE);
  if (textAt(state, 'ID') !== id) return undefined;
  const labels = (state as { Config?: { Labels?: unknown } }).Config?.Labels;
  const named = nameOfAnnotations(labels);
  const own = textAt(state, 'Name')?.replace(/^\//, '');
  return {
    ...(own !== undefined && { name: own }),
    ...named,
    runtime: 'docker',
    source: 'docker state file',
  };
};

const STORAGE_LISTS = [
  'var/lib/containers/storage/overlay-containers/containers.json',
  'run/containers/storage/overlay-containers/volatile-containers.json',
  'var/lib/containers/storage/overlay-containers/volatile-containers.json',
  'var/lib/containers/storage/vfs-containers/containers.json',
];

const podman: Lookup = (root, id) => {
  for (const path of STORAGE_LISTS) {
    const list = readStateJson(join(root, path), MAX_LIST_BYTES);
    if (!Array.isArray(list)) continue;
    const entry: unknown = list.find((each) => textAt(each, 'id') === id);
    const names = (entry as { names?: unknown } | undefined)?.names;
    const name = Array.isArray(names) ? textAt(names, '0') : undefined;
    if (name !== undefined) return { name, source: 'podman state file' };
  }
  return undefined;
};

const TASK_FOLDERS = [
  'run/containerd/io.containerd.runtime.v2.task',
  'run/k3s/containerd/io.containerd.runtime.v2.task',
  'var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task',
];

const containerd: Lookup = (root, id) => {
  for (const folder of TASK_FOLDERS) {
    for (const namespace of listFolder(join(root, folder))) {
      const bundle = readStateJson(join(root, folder, namespace, id, 'config.json'), MEBIBYTE);
      if (typeof bundle !== 'object' || bundle === null) continue;
      const named = nameOfAnnotations((bundle as { annotations?: unknown }).annotations);
      return {
        ...named,
        runtime: namespace === 'moby' ? 'docker' : 'containerd',
        source: 'containerd bundle',
      };
    }
  }
  return undefined;
};

const crio: Lookup = (root, id) => {
  const path = join(root, 'run/containers/storage/overlay-containers', id, 'userdata/config.json');
  const bundle = readStateJson(path, MEBIBYTE);
  const annotations = (bundle as { annotations?: unknown } | undefined)?.annotations;
  // Podman's bundles are in the same place.
  if (textAt(annotations, 'io.container.manager') !== 'cri-o') return undefined;
  return { ...nameOfAnnotations(annotations), runtime: 'cri-o', source: 'cri-o bundle' };
};

/** Whoever has the folder of that name runs it: all three name their cgroups alike. */
const LXC_FOLDERS: readonly (readonly [Runtime, string])[] = [
  ['incus', 'var/lib/incus/containers'],
  ['lxd', 'var/snap/lxd/common/lxd/containers'],
  ['lxd', 'var/lib/lxd/containers'],
  ['lxc', 'var/lib/lxc'],
];

const lxc: Lookup = (root, id) => {
  const [runtime] = LXC_FOLDERS.find(([, folder]) => exists(join(root, folder, id))) ?? [];
  return runtime && { name: id, runtime, source: 'lxc folder' };
};

const MACHINE_SERVICES: Readonly<Record<string, Runtime>> = {
  'systemd-nspawn': 'nspawn',
  'libvirt-lxc': 'libvirt',
  'libvirt-qemu': 'libvirt',
  rkt: 'rkt',
};

const machine: Lookup = (root, id) => {
  const state = readStateFile(join(root, 'run/systemd/machines', id), MEBIBYTE);
  const service = state === undefined ? undefined : /^SERVICE=(.+)$/m.exec(state)?.[1];
  const runtime = MACHINE_SERVICES[service ?? ''];
  if (state === undefined) return undefined;
  return { name: id, ...(runtime && { runtime }), source: 'machine state file' };
};

const HEX_LOOKUPS: Partial<Record<Runtime, readonly Lookup[]>> = {
  docker: [docker, containerd],
  'github-actions': [docker],
  ecs: [docker, containerd],
  containerd: [containerd],
  'cri-o': [crio],
  podman: [podman],
  kubernetes: [docker, containerd, crio],
  oci: [docker, containerd, crio, podman],
};

const NAME_LOOKUPS: Partial<Record<Runtime, readonly Lookup[]>> = {
  containerd: [containerd],
  lxc: [lxc],
  nspawn: [machine],
  libvirt: [machine],
};

function listFolder(path: string): string[] {
  try {
    return readdirSync(path).slice(0, MAX_BUNDLES);
  } catch {
    return [];
  }
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
