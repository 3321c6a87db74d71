/** Where the package keeps what it loads. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** With a slash at its end: the nearest folder above that has a package.json, whether this runs from src/ or bundled in dist/. */
export const PACKAGE_ROOT = findPackageRoot(new URL('.', import.meta.url));

function findPackageRoot(folder: URL): string {
  if (existsSync(new URL('package.json', folder))) return fileURLToPath(folder);
  return findPackageRoot(new URL('..', folder));
}

const BPF_OBJECTS = `${PACKAGE_ROOT}dist/bpf`;

/** The objects that the agent joins and loads. */
export const AGENT_OBJECTS = [
  'loop_audit',
  'uevent_filter',
  'stacking',
  'userns_creation',
  'receiver_list',
  'process_list',
  'program_list',
  'namespace_life',
].map(objectPath);

/** What is attached to the kernel, loaded apart from what it calls. */
export const GATES_OBJECT = objectPath('gates');

export const LINK_PROBE_OBJECT = objectPath('link_probe');

function objectPath(name: string): string {
  return `${BPF_OBJECTS}/${name}.bpf.o`;
}

export const VMLINUX_BTF = '/sys/kernel/btf/vmlinux';
/** Of the loop driver, where it is a module that has types. */
export const LOOP_MODULE_BTF = '/sys/kernel/btf/loop';
