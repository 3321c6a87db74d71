/** Which link each hook MUST end on, for each kernel of the VM tests. A silent fall-back is a failure. */
import type { HookName, LinkKind } from '../../src/kernel/hooks.js';

export type Links = Record<HookName, LinkKind>;

const TRAMPOLINES: Links = {
  loop_ioctl: 'fentry',
  receiver_appearance: 'fexit',
  uevent_emission: 'fexit',
  uevent_delivery: 'fmod_ret',
  disk_stacking: 'fentry',
  userns_creation: 'fexit',
};

/** Without bpf in the boot's LSM list. With it an LSM decides deliveries. */
export const MATRIX: Readonly<Record<string, Links>> = {
  // No types of modules, no bpf_task_pt_regs, and kprobes that cannot be pinned.
  '5.10': { ...TRAMPOLINES, loop_ioctl: 'tp_btf', receiver_appearance: 'tp_btf' },
  '6.1': TRAMPOLINES,
  '6.12': TRAMPOLINES,
  newest: { ...TRAMPOLINES, userns_creation: 'ns_id' },
};

/** Where the kernel refuses trampolines and kprobes. `hasNsId`: it gives namespaces numbers that are never given again. */
export const lockedDown = (hasNsId: boolean): Links => ({
  loop_ioctl: 'tp_btf',
  receiver_appearance: 'tp_btf',
  uevent_emission: 'socket_filter',
  uevent_delivery: 'socket_filter',
  disk_stacking: 'sysfs',
  userns_creation: hasNsId ? 'ns_id' : 'iter',
});
