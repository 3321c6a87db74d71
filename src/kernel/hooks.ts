/**
 * The hooks, and for each its links, best first. Adding a link is a line here, a program and its gate in bpf/.
 *
 * A link's programs bear the names of their gates (bpf/gates.bpf.c), which are what is attached.
 */
import type { CANARY } from './abi.js';

export const LINK_KINDS = [
  'fentry',
  'fexit',
  'fmod_ret',
  'lsm',
  'kprobe',
  'tp_btf',
  'socket_filter',
  'sysfs',
  'ns_id',
  'iter',
] as const;
export type LinkKind = (typeof LINK_KINDS)[number];

export const HOOK_NAMES = [
  'loop_ioctl',
  'receiver_appearance',
  'uevent_emission',
  'uevent_delivery',
  'disk_stacking',
  'userns_creation',
] as const;
export type HookName = (typeof HOOK_NAMES)[number];

export interface Need {
  /** One of the kernel's types or functions, a field of a type (`ns_common.ns_id`), or a path. */
  kind: 'struct' | 'func' | 'field' | 'file';
  name: string;
  /** What is the matter without it. */
  why: string;
}

export interface HookLink {
  kind: LinkKind;
  /**
   * Attached in this order: what must see the return comes before what sees the call. Of two trampolines on one
   * function the later runs first (bpf_trampoline_link_prog in kernel/bpf/trampoline.c).
   */
  programs: readonly string[];
  /** The canaries that must be seen before the link counts as attached. */
  canaries: readonly CanaryName[];
  /** Where the programs are attached: the kernel's functions, the agent's own listener, or each receiver's socket; `agent`: it has none. */
  place: 'kernel' | 'listener' | 'receivers' | 'agent';
  /** What the kernel must have besides what is attached to. */
  needs?: readonly Need[];
  /** Oldest kernel that has it. */
  since: string;
  why: string;
}

export interface Hook {
  name: HookName;
  purpose: string;
  links: readonly HookLink[];
}

const IOCTL_FUNCTIONS = ['lo_ioctl', 'lo_compat_ioctl', 'loop_control_ioctl'];
const both = (atReturn: string, atEntry: string): string[] => [
  ...IOCTL_FUNCTIONS.map((name) => `${name}_${atReturn}`),
  ...IOCTL_FUNCTIONS.map((name) => `${name}_${atEntry}`),
];
/**
 * The kernel leaves a tracing program out while it is active on the processor: `lo_ioctl_again_fentry` then does the
 * work of `lo_ioctl_fentry`. It is attached before, and so runs after it.
 */
const twice = (programs: string[]): string[] =>
  programs.flatMap((name) => [name.replace(/_(fentry|fexit|fmod_ret)$/, '_again_$1'), name]);
const KPROBE_NEEDS: readonly Need[] = [
  {
    kind: 'file',
    name: '/sys/bus/event_source/devices/kprobe',
    why: 'this kernel is built without kprobes',
  },
  { kind: 'struct', name: 'bpf_perf_link', why: 'such a link dies with the agent' },
];
const CLAIM = 'bd_prepare_to_claim';
/** What the program on the agent’s listener passes each message on to. */
export const LISTENER_BODY = 'uevent_emission_body';
/** In the order in which they are attached: who sees a claim is to see what becomes of it. */
const STACKING = ['bd_unlink_disk_holder', 'bd_link_disk_holder', CLAIM];
const IOCTL_CANARIES: readonly CanaryName[] = [
  'DEVICE_IOCTL_ENTRY',
  'DEVICE_IOCTL_RETURN',
  'CONTROL_IOCTL_ENTRY',
  'CONTROL_IOCTL_RETURN',
];

export const HOOKS: readonly Hook[] = [
  {
    name: 'loop_ioctl',
    purpose: 'what is done to loop devices, by whom, with what result',
    links: [
      {
        kind: 'fentry',
        programs: twice(both('fexit', 'fentry')),
        canaries: IOCTL_CANARIES,
        place: 'kernel',
        since: '5.11',
        why: 'trampolines on the loop driver’s own functions: nothing else on the host pays for them',
      },
      {
        kind: 'kprobe',
        programs: both('kretprobe', 'kprobe'),
        canaries: IOCTL_CANARIES,
        place: 'kernel',
        needs: KPROBE_NEEDS,
        since: '5.15',
        why: 'the same functions by breakpoints; before 5.15 such a link cannot outlive the agent',
      },
      {
        kind: 'tp_btf',
        programs: ['syscall_exit_tp_btf', 'syscall_enter_tp_btf'],
        canaries: IOCTL_CANARIES,
        place: 'kernel',
        since: '5.10',
        why: 'sys_enter and sys_exit fire on every kernel, at the price of the slow entry path for every system call',
      },
    ],
  },
  {
    name: 'receiver_appearance',
    purpose: 'new uevent sockets, so that they get what they may get from the start',
    links: [
      {
        kind: 'fexit',
        programs: ['receiver_bound_fexit'],
        canaries: ['RECEIVER_APPEARANCE'],
        place: 'kernel',
        needs: [{ kind: 'func', name: 'bpf_task_pt_regs', why: 'the descriptor cannot be told' }],
        since: '5.15',
        why: 'netlink_bind is called for netlink sockets only',
      },
      {
        kind: 'tp_btf',
        programs: ['syscall_exit_tp_btf'],
        canaries: ['RECEIVER_APPEARANCE'],
        place: 'kernel',
        since: '5.10',
        why: 'sys_exit of socket and bind is where a receiver can be seen without trampolines',
      },
    ],
  },
  {
    name: 'uevent_emission',
    purpose: 'each uevent once, in its emitter’s context',
    links: [
      {
        kind: 'fexit',
        programs: twice(['uevent_emission_fexit']),
        canaries: ['UEVENT_EMISSION'],
        place: 'kernel',
        since: '5.10',
        why: 'dev_uevent runs once for each device’s uevent, before it is sent; it outlives the agent',
      },
      {
        kind: 'socket_filter',
        programs: ['uevent_emission_socket', LISTENER_BODY],
        canaries: ['UEVENT_EMISSION'],
        place: 'listener',
        since: '5.10',
        why: 'a filter on the agent’s own listener runs synchronously in the emitter’s context; nothing in the kernel’s lib/ can be hooked',
      },
    ],
  },
  {
    name: 'uevent_delivery',
    purpose: 'the verdict on each delivery to each receiver',
    links: [
      {
        kind: 'lsm',
        programs: ['uevent_delivery_lsm'],
        canaries: ['UEVENT_DELIVERY'],
        place: 'kernel',
        since: '5.10',
        why: 'security_sock_rcv_skb sees each delivery to each socket: no new one can slip past; it runs only with bpf in the boot’s lsm= list',
      },
      {
        kind: 'fmod_ret',
        programs: twice(['uevent_delivery_fmod_ret']),
        canaries: ['UEVENT_DELIVERY'],
        place: 'kernel',
        since: '5.10',
        why: 'the same point by trampolines; twice, since the kernel leaves out a program in which a task was preempted',
      },
      {
        kind: 'socket_filter',
        programs: ['uevent_delivery_socket'],
        canaries: ['UEVENT_DELIVERY'],
        place: 'receivers',
        since: '5.10',
        why: 'a filter on the receiver’s socket removes just that receiver’s copy, and outlives the agent',
      },
    ],
  },
  {
    name: 'disk_stacking',
    purpose: 'which disk is put on which, before the uevents that follow from it',
    links: [
      {
        kind: 'fentry',
        programs: twice(STACKING.map((name) => `${name}_${name === CLAIM ? 'fentry' : 'fexit'}`)),
        // Nothing of the boot line can keep these from running; to prove it, a disk would have to be claimed.
        canaries: [],
        place: 'kernel',
        since: '5.10',
        why: 'device-mapper and md tell by these functions, in the context of who makes the device',
      },
      {
        kind: 'kprobe',
        programs: STACKING.map((name) => `${name}_kprobe`),
        canaries: [],
        place: 'kernel',
        needs: KPROBE_NEEDS,
        since: '5.15',
        why: 'the same functions by breakpoints',
      },
      {
        kind: 'sysfs',
        programs: [],
        canaries: [],
        place: 'agent',
        since: '5.10',
        why: 'the agent looks into /sys/block every now and then: until then a device on a container’s is taken for the host’s',
      },
    ],
  },
  {
    name: 'userns_creation',
    purpose: 'new user namespaces, so that none passes for a dead one',
    links: [
      {
        kind: 'ns_id',
        programs: [],
        canaries: [],
        place: 'agent',
        needs: [
          { kind: 'field', name: 'ns_common.ns_id', why: 'user namespaces have no number of their own' },
        ],
        since: '6.18',
        why: 'the kernel gives each namespace a number that is never given again: there is nothing to see',
      },
      {
        kind: 'fexit',
        programs: twice(['create_user_ns_fexit']),
        // As above: to prove it, a user namespace would have to be made.
        canaries: [],
        place: 'kernel',
        since: '5.10',
        why: 'create_user_ns returns before anybody is in the namespace, and is called for nothing else',
      },
      {
        kind: 'kprobe',
        programs: ['setup_userns_sysctls_kprobe'],
        canaries: [],
        place: 'kernel',
        needs: KPROBE_NEEDS,
        since: '5.15',
        why: 'a function that create_user_ns calls with the new namespace, by a breakpoint',
      },
      {
        kind: 'iter',
        programs: [],
        canaries: [],
        place: 'agent',
        since: '5.10',
        why: 'the agent looks every second which namespaces were freed: one that is made before passes for a dead one if it gets its address and number',
      },
    ],
  },
];

/** What became of a hook's link. */
export type CanaryName = keyof typeof CANARY;

export type HookOutcome =
  | { state: 'attached'; link: LinkKind }
  | { state: 'unsupported'; link: LinkKind; reason: string; since: string }
  | { state: 'failed'; link: LinkKind; error: string }
  | { state: 'detached'; link: LinkKind };

/** Every (hook, link) pair of the table: the closed label set of `hook_attached`. */
export function hookLinkPairs(): { hook: HookName; link: LinkKind }[] {
  return HOOKS.flatMap((hook) => hook.links.map(({ kind }) => ({ hook: hook.name, link: kind })));
}

/** For each hook the place of the link that it is attached by, 0 the best; undefined: it is attached by none. */
export function hookRanks(
  outcomes: ReadonlyMap<HookName, readonly HookOutcome[]>,
): { hook: HookName; rank: number | undefined }[] {
  return HOOKS.map(({ name, links }) => {
    const attached = outcomes.get(name)?.find(({ state }) => state === 'attached');
    const rank = links.findIndex(({ kind }) => kind === attached?.link);
    return { hook: name, rank: rank === -1 ? undefined : rank };
  });
}

/** By which the hook is attached, or would be if the filter were on. */
export function linkOf(hook: HookName, outcomes: readonly HookOutcome[]): HookLink | undefined {
  const taken = outcomes.findLast(({ state }) => state === 'attached' || state === 'detached');
  return HOOKS.find(({ name }) => name === hook)?.links.find(({ kind }) => kind === taken?.link);
}

/** Only programs that are attached to the kernel or to receivers have gates. */
export function isGated(place: HookLink['place']): boolean {
  return place === 'kernel' || place === 'receivers';
}

/** Of these links, the programs that gates call. */
export function gateProgramsOf(links: readonly HookLink[]): string[] {
  const gated = links.filter(({ place }) => isGated(place));
  return [...new Set(gated.flatMap(({ programs }) => programs))];
}

/** The programs of every link. */
export function hookPrograms(): string[] {
  return [...new Set(HOOKS.flatMap(({ links }) => links.flatMap(({ programs }) => programs)))];
}
