/** A bundle for a real OCI runtime: busybox and losetup in a root file system of their own, in a user namespace. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { MAPPED_ROOT } from './mapped-container.js';
import { command, type Outcome } from './shell.js';
import { tempFolder } from './temp-folder.js';

/** What a user adds to a bundle for an instance of its own. */
export interface BundleOptions {
  script: string;
  annotations: Record<string, string>;
  hooks: Record<string, { path: string; args: string[]; env?: string[] }[]>;
  devices: readonly object[];
}

/** busybox and losetup in `rootfs`, which the root of the container owns. */
export function makeRootFolder(rootfs: string): void {
  const losetup = execFileSync('sh', ['-c', 'command -v losetup'], { encoding: 'utf8' }).trim();
  const libraries = execFileSync('ldd', [losetup], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
  copyInto(rootfs, losetup, '/sbin/losetup');
  for (const library of libraries) copyInto(rootfs, library, library);
  copyInto(
    rootfs,
    execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim(),
    '/bin/busybox',
  );
  for (const name of ['sh', 'cat', 'ls', 'sleep', 'stat', 'truncate', 'readlink'])
    symlinkSync('busybox', join(rootfs, 'bin', name));
  for (const name of ['dev', 'proc', 'sys', 'tmp']) mkdirSync(join(rootfs, name));
  execFileSync('chown', ['-R', `${MAPPED_ROOT}:${MAPPED_ROOT}`, rootfs]);
}

export function makeBundle(t: TestContext, options: BundleOptions): string {
  const folder = tempFolder(t);
  makeRootFolder(join(folder, 'rootfs'));
  execFileSync('chmod', ['755', folder]);
  execFileSync('crun', ['spec'], { cwd: folder });
  const config = JSON.parse(execFileSync('cat', [join(folder, 'config.json')], { encoding: 'utf8' }));
  config.process.terminal = false;
  config.process.args = ['/bin/sh', '-ec', options.script];
  config.root.readonly = false;
  config.linux.namespaces.push({ type: 'user' });
  for (const map of ['uidMappings', 'gidMappings'])
    config.linux[map] = [{ containerID: 0, hostID: MAPPED_ROOT, size: 65_536 }];
  config.linux.resources.devices.push(...options.devices);
  config.annotations = options.annotations;
  config.hooks = options.hooks;
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}

export interface Runtime {
  name: 'crun' | 'runc';
  /** The version of cgroups that it finds mounted. */
  cgroups: 1 | 2;
}

/** Shell commands, in a mount namespace of one's own, after which only cgroups of that version are mounted. */
export const CGROUPS = {
  // crun refuses hybrid hierarchies.
  1: '! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified',
  2: 'umount -lR /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup',
};

/** Words before a command of the runtime's, which sees cgroups of that version only. */
export function wordsOf({ name, cgroups }: Runtime): string[] {
  const words = name === 'crun' ? ['crun', '--cgroup-manager=cgroupfs'] : [name];
  return ['unshare', '-m', 'sh', '-c', `${CGROUPS[cgroups]}; exec "$@"`, 'sh', ...words];
}

export function runBundle(
  folder: string,
  id: string,
  runtime: Runtime = { name: 'crun', cgroups: 1 },
): Promise<Outcome> {
  const [file = '', ...words] = wordsOf(runtime);
  return command(file, [...words, 'run', '--bundle', folder, id]);
}

/** crun can attach no BPF program where it may not raise RLIMIT_MEMLOCK. */
export const RUNTIMES: readonly Runtime[] = [
  { name: 'crun', cgroups: 1 },
  { name: 'runc', cgroups: 1 },
  { name: 'runc', cgroups: 2 },
];
export const titleOf = ({ name, cgroups }: Runtime): string => `${name} with cgroups v${cgroups}`;

function copyInto(rootfs: string, from: string, to: string): void {
  mkdirSync(dirname(join(rootfs, to)), { recursive: true });
  cpSync(from, join(rootfs, to), { dereference: true });
}
