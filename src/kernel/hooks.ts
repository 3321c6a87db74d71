/**
 * The hooks, and for each its links, best first. Adding a link is a line here and a wrapper in bpf/.
 *
 * This version has the links that work even where trampolines and kprobes are locked down.
 */

export const LINK_KINDS = ['tp_btf', 'socket_filter'] as const;
export type LinkKind = (typeof LINK_KINDS)[number];

export const HOOK_NAMES = [
  'loop_ioctl',
  'receiver_appearance',
  'uevent_emission',
  'uevent_delivery',
] as const;
export type HookName = (typeof HOOK_NAMES)[number];

export interface HookLink {
  kind: LinkKind;
  /** Attached in this order: what must see the return comes before what sees the call. */
  programs: readonly string[];
  /** Oldest kernel that has it. */
  since: string;
  why: string;
}

export interface Hook {
  name: HookName;
  purpose: string;
  /** What attaches the programs: the kernel's own hook, the agent's listener, or each receiver's socket. */
  place: 'kernel' | 'listener' | 'receivers';
  links: readonly HookLink[];
}

export const HOOKS: readonly Hook[] = [
  {
    name: 'loop_ioctl',
    purpose: 'what is done to loop devices, by whom, with what result',
    place: 'kernel',
    links: [
      {
        kind: 'tp_btf',
        programs: ['syscall_exit_tp_btf', 'syscall_enter_tp_btf'],
        since: '5.11',
        why: 'sys_enter and sys_exit fire on every kernel, at the price of the slow entry path for every system call',
      },
    ],
  },
  {
    name: 'receiver_appearance',
    purpose: 'new uevent sockets, so that the filter is on them before they hear anything',
    place: 'kernel',
    links: [
      {
        kind: 'tp_btf',
        programs: ['syscall_exit_tp_btf'],
        since: '5.5',
        why: 'sys_exit of socket and bind is where a receiver can be seen without trampolines',
      },
    ],
  },
  {
    name: 'uevent_emission',
    purpose: 'each uevent once, in its emitter’s context',
    place: 'listener',
    links: [
      {
        kind: 'socket_filter',
        programs: ['uevent_emission_socket'],
        since: '5.10',
        why: 'a filter runs synchronously in the emitter’s context; nothing in the kernel’s lib/ can be hooked',
      },
    ],
  },
  {
    name: 'uevent_delivery',
    purpose: 'the verdict on each delivery to each receiver',
    place: 'receivers',
    links: [
      {
        kind: 'socket_filter',
        programs: ['uevent_delivery_socket'],
        since: '5.10',
        why: 'a filter on the receiver’s socket removes just that receiver’s copy, and outlives the agent',
      },
    ],
  },
];

/** What became of a hook's link. */
export type HookOutcome =
  | { state: 'attached'; link: LinkKind }
  | { state: 'unsupported'; link: LinkKind; reason: string; since: string }
  | { state: 'failed'; link: LinkKind; error: string }
  | { state: 'detached'; link: LinkKind };

/** Every (hook, link) pair of the table: the closed label set of `hook_attached`. */
export function hookLinkPairs(): { hook: HookName; link: LinkKind }[] {
  return HOOKS.flatMap((hook) => hook.links.map(({ kind }) => ({ hook: hook.name, link: kind })));
}

/** The programs of the chosen links. */
export function hookPrograms(): string[] {
  return [...new Set(HOOKS.flatMap((hook) => hook.links[0]?.programs ?? []))];
}
