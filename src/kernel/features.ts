/** What this kernel allows: tried, not read off its version. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { reasonOf } from '../errors.js';
import { readKernelBtf } from './kernel-btf.js';
import type { Btf, NativeAddon, NativeError } from './native.js';
import { LINK_PROBE_OBJECT, VMLINUX_BTF } from './paths.js';

export interface LinkFeature {
  kind: string;
  available: boolean;
  /** What the kernel said, or how it was seen to work. */
  reason: string;
  /** Oldest kernel that has it. */
  since: string;
}

export interface KernelFeatures {
  release: string;
  btf: boolean;
  /** ns_common.ns_id: user namespaces have a number that is never used again (6.18). */
  nsId: boolean;
  /** The boot's LSM list, or null where securityfs is not mounted. */
  lsm: string | null;
  links: readonly LinkFeature[];
}

const PROBES: readonly { kind: string; program: string; attach: boolean; since: string }[] = [
  { kind: 'fentry', program: 'probe_fentry', attach: true, since: '5.5' },
  { kind: 'fexit', program: 'probe_fexit', attach: true, since: '5.5' },
  { kind: 'fmod_ret', program: 'probe_fmod_ret', attach: true, since: '5.7' },
  { kind: 'lsm', program: 'probe_lsm', attach: true, since: '5.7' },
  { kind: 'kprobe', program: 'probe_kprobe', attach: true, since: '4.1' },
  { kind: 'tp_btf', program: 'probe_tp_btf', attach: true, since: '5.5' },
  { kind: 'iter', program: 'probe_iter', attach: true, since: '5.8' },
  { kind: 'socket_filter', program: 'probe_socket_filter', attach: false, since: '3.19' },
];

export function probeKernel(native: NativeAddon): KernelFeatures {
  const btf = existsSync(VMLINUX_BTF);
  const lsm = readLsm();
  return {
    release: release(),
    btf,
    nsId: btf && hasField(native, 'ns_common.ns_id'),
    lsm,
    links: PROBES.map((probe) => ({ kind: probe.kind, since: probe.since, ...tryLink(native, probe, lsm) })),
  };
}

function tryLink(
  native: NativeAddon,
  { kind, program, attach }: (typeof PROBES)[number],
  lsm: string | null,
): Pick<LinkFeature, 'available' | 'reason'> {
  let step = 'load';
  try {
    const object = native.openObject(LINK_PROBE_OBJECT);
    try {
      for (const { name } of object.programs) object.setAutoload(name, name === program);
      object.load();
      step = 'attach';
      if (attach) object.program(program).attach().close();
    } finally {
      object.close();
    }
  } catch (error) {
    const { code, log } = error as NativeError;
    return {
      available: false,
      reason: `${code ?? 'error'} at ${step}: ${firstComplaint(log) ?? reasonOf(error)}`,
    };
  }
  // It attaches without an error and never runs where the boot line leaves bpf out.
  if (kind === 'lsm' && lsm !== null && !lsm.split(',').includes('bpf'))
    return { available: false, reason: 'attaches, but bpf is not in the boot’s lsm= list, so it never runs' };
  return { available: true, reason: attach ? 'loaded and attached' : 'loaded' };
}

/** libbpf's first warning says what was refused; the lines after it follow from that. */
export function firstComplaint(log: string | undefined): string | undefined {
  const line = log?.split('\n').find((each) => /failed|unknown|not supported|can't|couldn't/i.test(each));
  return line
    ?.replace(/^libbpf: /, '')
    .trim()
    .slice(0, 160);
}

/** `path`: a struct and a field of it, `ns_common.ns_id`. */
export function hasField(native: NativeAddon, path: string): boolean {
  const [struct = '', field = ''] = path.split('.');
  return readKernelBtf(native, (btf) => {
    const id = btf.find(struct, 'struct');
    return id !== 0 && hasMember(btf, id, field);
  });
}

/** Looks into anonymous structs and unions too: ns_id lives in one. */
function hasMember(btf: Btf, id: number, name: string): boolean {
  return btf
    .type(id)
    .members.some(
      (member) => member.name === name || (member.name === '' && hasMember(btf, member.type, name)),
    );
}

function readLsm(): string | null {
  try {
    return readFileSync('/sys/kernel/security/lsm', 'utf8').trim();
  } catch {
    return null;
  }
}
