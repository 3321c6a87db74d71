/** `loopwarden doctor`: what this kernel allows, what the agent made of it, and how to mend what is missing. */
import type { LoadedConfig } from '../config/load.js';
import { EXIT, type ExitCode, LoopwardenError } from '../errors.js';
import { type KernelFeatures, probeKernel } from '../kernel/features.js';
import { HOOKS, type HookName, type HookOutcome } from '../kernel/hooks.js';
import { loadNative } from '../kernel/native.js';
import { checkPermission } from '../kernel/permission.js';
import type { Receiver } from '../kernel/receivers.js';
import type { AgentStatus } from '../web/agent-api.js';
import type { ControlClient } from '../web/control-client.js';
import type { Command } from './command.js';
import { table } from './table.js';

interface HookReport {
  hook: HookName;
  purpose: string;
  link: string;
  why: string;
  state: string;
}

interface Degradation {
  what: string;
  mend: string;
}

interface Diagnosis {
  kernel: KernelFeatures;
  hooks: HookReport[];
  /** Null when no agent is running. */
  agent: AgentStatus | null;
  receivers: Receiver[];
  degraded: Degradation[];
  config: { key: string; value: unknown; origin: string }[];
}

export const doctor: Command = {
  name: 'doctor',
  summary: 'show what the kernel allows, the link of each hook and why, what is degraded and how to mend it',
  async action({ loaded, agent, json, print }): Promise<ExitCode> {
    const native = loadNative();
    checkPermission(native);
    const diagnosis = diagnose(probeKernel(native), await askAgent(agent), loaded);
    print(json ? diagnosis : render(diagnosis));
    return diagnosis.hooks.every(({ state }) => state !== 'failed' && state !== 'unsupported')
      ? EXIT.ok
      : EXIT.no;
  },
};

type AgentAnswer = { status: AgentStatus; receivers: Receiver[] } | undefined;

async function askAgent(agent: ControlClient): Promise<AgentAnswer> {
  try {
    return (await agent.request('GET', '/api/v1/doctor')) as AgentAnswer;
  } catch (error) {
    if (error instanceof LoopwardenError && error.code === 'ERR_AGENT_NOT_RUNNING') return undefined;
    throw error;
  }
}

function diagnose(kernel: KernelFeatures, answer: AgentAnswer, loaded: LoadedConfig): Diagnosis {
  const receivers = answer?.receivers ?? [];
  return {
    kernel,
    hooks: HOOKS.map(({ name, purpose, links }) => {
      const outcome = answer?.status.hooks.find(({ hook }) => hook === name)?.outcomes.at(-1);
      const isUsable = (kind: string): boolean =>
        kernel.links.find((each) => each.kind === kind)?.available === true;
      const link =
        links.find(({ kind }) => kind === outcome?.link) ??
        links.find(({ kind }) => isUsable(kind)) ??
        links[0];
      const usable = link !== undefined && isUsable(link.kind);
      return {
        hook: name,
        purpose,
        link: link?.kind ?? '',
        why: link?.why ?? '',
        state: stateOf(outcome, usable),
      };
    }),
    agent: answer?.status ?? null,
    receivers,
    degraded: degradations(kernel, answer),
    config: Object.entries(loaded.origins).map(([key, origin]) => ({
      key,
      value: valueAt(loaded, key),
      origin,
    })),
  };
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
  const uses = (hook: HookName, kind: string): boolean => {
    const outcome = answer?.status.hooks.find((each) => each.hook === hook)?.outcomes.at(-1);
    return outcome ? outcome.link === kind : refused('fentry') && refused('fmod_ret');
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
  if (!kernel.nsId)
    list.push({
      what: 'user namespaces have no number of their own: a number that was used again may be taken for the old one',
      mend: 'Linux 6.18 or newer (ns_common.ns_id)',
    });
  for (const receiver of answer?.receivers ?? [])
    if (
      receiver.class === 'foreign_filter' ||
      (receiver.class === 'unfiltered' && answer?.status.filterMode !== 'off')
    )
      list.push({
        what: `${receiver.command} (pid ${receiver.pid}) gets every uevent: ${receiver.why}`,
        mend: 'restart it while the agent runs, or name its executable in receivers.allow if it may see everything',
      });
  return list;
}

function render({ kernel, hooks, agent, receivers, degraded, config }: Diagnosis): string {
  const sections = [
    `kernel ${kernel.release}`,
    table([
      ['  BTF', kernel.btf ? 'available' : 'missing'],
      ['  namespace ids (ns_id)', kernel.nsId ? 'available' : 'missing (6.18 and newer have them)'],
      ['  boot’s LSM list', kernel.lsm ?? 'unknown: securityfs is not mounted'],
      ...kernel.links.map((link) => [
        `  ${link.kind}`,
        `${link.available ? 'available' : 'unavailable'}: ${link.reason}${link.available ? '' : ` (Linux ${link.since} and newer can)`}`,
      ]),
    ]),
    '',
    'hooks',
    table(hooks.map(({ hook, link, state, why }) => [`  ${hook}`, `${state} by ${link}`, why])),
    '',
    agent
      ? `agent ${agent.version} (pid ${agent.pid}): filter ${agent.filterMode}, audit log ${agent.auditLog}, ${agent.metricsUrl}/metrics`
      : 'agent: not running (start it with loopwarden run)',
  ];
  if (receivers.length > 0)
    sections.push(
      '',
      'receivers',
      table(receivers.map(({ command, pid, class: kind, why }) => [`  ${command}[${pid}]`, kind, why])),
    );
  sections.push('', 'degraded');
  for (const { what, mend } of degraded) sections.push(table([[`  ${what}`]]), `    to mend: ${mend}`);
  sections.push(
    '',
    'config',
    table(config.map(({ key, value, origin }) => [`  ${key}`, JSON.stringify(value), origin])),
  );
  return sections.join('\n');
}
