/** What this kernel allows, what the agent made of it, and how to mend what is missing. */
import type { LoadedConfig } from '../config/load.js';
import { LoopwardenError } from '../errors.js';
import type { KernelFeatures } from '../kernel/features.js';
import { HOOKS, type HookLink, type HookName, type HookOutcome } from '../kernel/hooks.js';
import type { Receiver } from '../kernel/receivers.js';
import type { AgentStatus } from '../web/agent-api.js';
import type { ControlClient } from '../web/control-client.js';
import type { MendReport } from './mends.js';

export interface HookReport {
  hook: HookName;
  purpose: string;
  link: string;
  why: string;
  state: string;
}

export interface Degradation {
  what: string;
  mend: string;
}

export interface Diagnosis {
  kernel: KernelFeatures;
  hooks: HookReport[];
  /** Null when no agent is running. */
  agent: AgentStatus | null;
  receivers: Receiver[];
  degraded: Degradation[];
  /** What --fix can put right, or has. */
  mends: MendReport[];
  config: { key: string; value: unknown; origin: string }[];
}

export type AgentAnswer = { status: AgentStatus; receivers: Receiver[] } | undefined;

export async function askAgent(agent: ControlClient): Promise<AgentAnswer> {
  try {
    return (await agent.request('GET', '/api/v1/doctor')) as AgentAnswer;
  } catch (error) {
    if (error instanceof LoopwardenError && error.code === 'ERR_AGENT_NOT_RUNNING') return undefined;
    throw error;
  }
}

export function diagnose(
  kernel: KernelFeatures,
  answer: AgentAnswer,
  loaded: LoadedConfig,
  mends: MendReport[],
): Diagnosis {
  const receivers = answer?.receivers ?? [];
  return {
    kernel,
    hooks: HOOKS.map(({ name, purpose, links }) => {
      const outcome = answer?.status.hooks.find(({ hook }) => hook === name)?.outcomes.at(-1);
      const usableLink = links.find((each) => isUsable(each, kernel));
      const link = links.find(({ kind }) => kind === outcome?.link) ?? usableLink ?? links[0];
      return {
        hook: name,
        purpose,
        link: link?.kind ?? '',
        why: link?.why ?? '',
        state: stateOf(outcome, usableLink !== undefined),
      };
    }),
    agent: answer?.status ?? null,
    receivers,
    degraded: degradations(kernel, answer),
    mends,
    config: Object.entries(loaded.origins).map(([key, origin]) => ({
      key,
      value: valueAt(loaded, key),
      origin,
    })),
  };
}

function isUsable({ kind, place }: HookLink, kernel: KernelFeatures): boolean {
  if (kind === 'ns_id') return kernel.nsId;
  return place === 'agent' || kernel.links.some((each) => each.kind === kind && each.available);
}

function stateOf(outcome: HookOutcome | undefined, usable: boolean): string {
  return outcome?.state ?? (usable ? 'would attach' : 'unsupported');
}

function valueAt({ config }: LoadedConfig, key: string): unknown {
  const [section = '', name = ''] = key.split('.');
  return (config as unknown as Record<string, Record<string, unknown>>)[section]?.[name];
}

const KERNEL_WITH = {
  trampolines:
    'a kernel that allows trampolines: no lockdown, CONFIG_FUNCTION_TRACER, and types of its modules (5.11)',
  fmodRet: 'a kernel that allows fmod_ret, or bpf in the boot’s lsm= list',
} as const;

function degradations(kernel: KernelFeatures, answer: AgentAnswer): Degradation[] {
  const refused = (kind: string): boolean =>
    kernel.links.some((link) => link.kind === kind && !link.available);
  const list: Degradation[] = [];
  const uses = (
    hook: HookName,
    kind: string,
    unasked = refused('fentry') && refused('fmod_ret'),
  ): boolean => {
    const outcome = answer?.status.hooks.find((each) => each.hook === hook)?.outcomes.at(-1);
    return outcome ? outcome.link === kind : unasked;
  };
  if (uses('loop_ioctl', 'tp_btf'))
    list.push({
      what: 'loop ioctls are seen at the system call’s boundary: every system call of the host takes the slow entry path',
      mend: KERNEL_WITH.trampolines,
    });
  if (uses('uevent_delivery', 'socket_filter'))
    list.push({
      what: 'hiding is a filter on each uevent socket: a new socket hears everything for the moment until it is filtered',
      mend: KERNEL_WITH.fmodRet,
    });
  if (uses('uevent_emission', 'socket_filter'))
    list.push({
      what: 'uevents are recorded by the agent’s own listener: none are recorded while no agent runs',
      mend: KERNEL_WITH.trampolines,
    });
  if (uses('disk_stacking', 'sysfs'))
    list.push({
      what: 'what is put on a container’s device is looked for in sysfs: its first uevents reach the host',
      mend: KERNEL_WITH.trampolines,
    });
  if (uses('userns_creation', 'iter', !kernel.nsId && refused('fexit') && refused('kprobe')))
    list.push({
      what: 'user namespaces are not seen made: one that gets address and number of a dead one within a second may pass for it',
      mend: 'Linux 6.18 or newer (ns_common.ns_id), or a kernel that allows trampolines or pinned kprobes',
    });
  for (const receiver of answer?.receivers ?? [])
    if (
      receiver.class === 'foreign_filter' ||
      (receiver.class === 'unfiltered' && answer?.status.filterMode !== 'off')
    )
      list.push({
        what: `${receiver.command} (pid ${receiver.pid}) gets every uevent: ${receiver.why}`,
        mend: 'restart it while the agent runs, or name it in receivers.allow if it may see everything',
      });
  return list;
}
