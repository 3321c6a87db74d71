/** Where the package keeps what it loads. Works from dist/ and, in tests, from src/. */
import { fileURLToPath } from 'node:url';

export const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url));

const BPF_OBJECTS = `${PACKAGE_ROOT}dist/bpf`;

/** The objects that the agent joins and loads. */
export const AGENT_OBJECTS = ['loop_audit', 'uevent_filter', 'receiver_list'].map(objectPath);

/** What is attached to the kernel, loaded apart from what it calls. */
export const GATES_OBJECT = objectPath('gates');

export const LINK_PROBE_OBJECT = objectPath('link_probe');

function objectPath(name: string): string {
  return `${BPF_OBJECTS}/${name}.bpf.o`;
}

export const VMLINUX_BTF = '/sys/kernel/btf/vmlinux';
