/**
 * Who acts in the recording: user namespaces with mapped ids, in cgroups with the paths that runtimes give them, and named on
 * disk as those leave it. Everything is taken away at the end.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Cleanup } from '../../src/cleanup.js';
import { type DemoContainer, openContainer } from '../../src/demo/container.js';
import { shell } from '../../src/demo/run.js';
import { eventually } from '../../src/demo/wait.js';
import { findCgroup2 } from '../../src/identity/cgroup-hierarchy.js';
import { readMounts } from '../../src/kernel/mountinfo.js';
import { makeFolders } from '../../test/support/folders.js';

/** Images of the recording: its paths are seen by all who play it. */
export const IMAGES = '/srv/demo';
const LOOP_NODES = 32;

export interface Actor extends DemoContainer {
  image(name: string, sizeMib: number): string;
}

export interface Cast {
  /** An image of the host's. */
  image(name: string, sizeMib: number): string;
  /** A shell script on the host, in a unit of its own. */
  host(script: string): Promise<string>;
  docker(name: string, idBase: number): Promise<Actor>;
  pod(name: { namespace: string; pod: string; container: string }, idBase: number): Promise<Actor>;
  machine(name: string, idBase: number): Promise<Actor>;
  /** A container without device nodes, with a /dev of its own. */
  bare(name: string, idBase: number, prepare: string): Promise<Actor>;
}

export function createCast(cleanup: Cleanup): Cast {
  const nodes = join(IMAGES, '.dev');
  makeImages(cleanup);
  makeNodes(nodes);
  const unit = makeCgroup(cleanup, unitPath('image-store.service'));

  const image = (name: string, sizeMib: number, owner = 0): string => {
    const path = join(IMAGES, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '');
    truncateSync(path, sizeMib << 20);
    chownSync(path, owner, owner);
    return path;
  };

  const act = async (cgroup: string, idBase: number, prepare: string, folder: string): Promise<Actor> => {
    const made = makeCgroup(cleanup, cgroup);
    mkdirSync(join(IMAGES, folder), { recursive: true });
    chownSync(join(IMAGES, folder), idBase, idBase);
    const container = await openContainer({ idBase, own: true, prepare, cgroup: made });
    cleanup.add(() => container.end());
    return { ...container, image: (name, sizeMib) => image(join(folder, name), sizeMib, idBase) };
  };
  const withNodes = `mount --make-rprivate / 2>/dev/null || mount --make-rslave /; mount --rbind ${nodes} /dev`;

  return {
    image,
    host: (script) => shell(`echo $$ > ${unit}/cgroup.procs; ${script}`),
    docker(name, idBase) {
      const id = hexId(name);
      const folder = join('/var/lib/docker/containers', id);
      writeNew(cleanup, join(folder, 'config.v2.json'), JSON.stringify({ ID: id, Name: `/${name}` }));
      return act(`/docker/${id}`, idBase, withNodes, name);
    },
    pod({ namespace, pod, container }, idBase) {
      const id = hexId(pod);
      const uid = '3f0c1d52-8a47-4b8e-9a51-6d2f7c1e0b94';
      const annotations = {
        'io.kubernetes.cri.sandbox-namespace': namespace,
        'io.kubernetes.cri.sandbox-name': pod,
        'io.kubernetes.cri.container-name': container,
        'io.kubernetes.cri.sandbox-uid': uid,
      };
      writeNew(
        cleanup,
        join('/run/containerd/io.containerd.runtime.v2.task/k8s.io', id, 'config.json'),
        JSON.stringify({ annotations }),
      );
      const slice = `kubepods-burstable-pod${uid.replaceAll('-', '_')}.slice`;
      const cgroup = `/kubepods.slice/kubepods-burstable.slice/${slice}/cri-containerd-${id}.scope`;
      return act(cgroup, idBase, withNodes, pod);
    },
    machine: (name, idBase) => act(`/machine.slice/systemd-nspawn@${name}.service`, idBase, withNodes, name),
    bare: (name, idBase, prepare) => act(`/machine.slice/libpod-${hexId(name)}.scope`, idBase, prepare, name),
  };
}

const unitPath = (name: string): string => `/system.slice/${name}`;

/** Moves the process into a unit's cgroup until the cleanup. */
export function enterUnit(cleanup: Cleanup, name: string, pid: number): void {
  const [path = '/'] = /(?<=^0::).*$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8')) ?? [];
  const before = join(cgroupMount(), path);
  const folder = makeCgroup(cleanup, unitPath(name));
  writeFileSync(join(folder, 'cgroup.procs'), String(pid));
  cleanup.add(() => {
    if (existsSync(`/proc/${pid}`)) writeFileSync(join(before, 'cgroup.procs'), String(pid));
  });
}

function cgroupMount(): string {
  const mount = findCgroup2(readMounts());
  if (mount === undefined) throw new Error('this host has no cgroup2 mounted');
  return mount;
}

/** The same one each time, so that a recording differs from the last only where it must. */
function hexId(name: string): string {
  return execFileSync('sha256sum', { input: name, encoding: 'utf8' }).slice(0, 64);
}

function makeImages(cleanup: Cleanup): void {
  const made = makeFolders(IMAGES);
  if (made.length === 0) throw new Error(`${IMAGES} is there already: move it away`);
  cleanup.add(() => {
    rmSync(IMAGES, { recursive: true });
    for (const folder of made.slice(1)) rmdirSync(folder);
  });
}

/** Nodes that the root of any container may open, as `docker run --device` gives them. */
function makeNodes(folder: string): void {
  mkdirSync(folder);
  const make = (name: string, kind: 'b' | 'c', major: number, minor: number): void => {
    execFileSync('mknod', [join(folder, name), kind, String(major), String(minor)]);
    chmodSync(join(folder, name), 0o666);
  };
  make('loop-control', 'c', 10, 237);
  make('null', 'c', 1, 3);
  make('zero', 'c', 1, 5);
  for (let number = 0; number < LOOP_NODES; number++) make(`loop${number}`, 'b', 7, number);
}

function makeCgroup(cleanup: Cleanup, path: string): string {
  const folder = join(cgroupMount(), path);
  const made = makeFolders(folder);
  cleanup.add(async () => {
    for (const each of made)
      await eventually(`${each} is empty`, () => {
        try {
          rmdirSync(each);
          return true;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'EBUSY') return false;
          throw error;
        }
      });
  });
  return folder;
}

/** With the folders above it, which go with it. */
function writeNew(cleanup: Cleanup, path: string, content: string): void {
  const [own, ...above] = makeFolders(dirname(path));
  if (own === undefined) throw new Error(`${dirname(path)} is there already: move it away`);
  writeFileSync(path, content);
  cleanup.add(() => {
    rmSync(own, { recursive: true });
    for (const folder of above) rmdirSync(folder);
  });
}
