/**
 * Attaches each hook by its best link that the kernel takes and that is seen to run, and remembers what became of the
 * others. What an earlier agent left attached is used again.
 */
import { existsSync } from 'node:fs';
import { createError, LoopwardenError, reasonOf } from '../errors.js';
import { missingCanaries } from './canary.js';
import { firstComplaint, hasField } from './features.js';
import type { Gates } from './gates.js';
import {
  gateProgramsOf,
  HOOKS,
  type Hook,
  type HookLink,
  type HookName,
  type HookOutcome,
  isGated,
  type LinkKind,
  type Need,
} from './hooks.js';
import { readKernelBtf } from './kernel-btf.js';
import { fillListener, LISTENER_PROGRAM, listenWith, openListenerFor } from './listener.js';
import type { NativeAddon, NativeError, UeventListener } from './native.js';
import type { LoadedPrograms } from './programs.js';

/** Of which the kernel refuses all or none. */
const TRAMPOLINES: readonly LinkKind[] = ['fentry', 'fexit', 'fmod_ret', 'lsm'];

export interface Hooks {
  readonly outcomes: ReadonlyMap<HookName, readonly HookOutcome[]>;
  /** The programs of the links chosen so far, and the listener's. */
  programs(): string[];
  /** Those of them that gates call. */
  gatePrograms(): string[];
  link(hook: HookName): HookLink;
  /** The kernel refused a program of a chosen link: takes the next one. @throws ERR_HOOK_UNAVAILABLE */
  refuse(program: string, reason: string): void;
  /**
   * Makes these programs the set that acts, or, with `reuse`, leaves the one that does. `load` loads those of another link.
   *
   * @throws ERR_HOOK_UNAVAILABLE
   */
  attach(
    programs: LoadedPrograms,
    load: (names: readonly string[]) => LoadedPrograms,
    options?: { reuse: boolean },
  ): void;
  /** The socket by which uevents are seen to be, where that is a link. Not the agent's: closed with the hooks. */
  listener(): UeventListener;
  /** What is pinned stays attached. */
  close(): void;
}

export interface HookOptions {
  gates: Gates;
  /** Kinds of link that are not to be used. */
  avoid: readonly LinkKind[];
}

/** Loads the gates of the chosen links; nothing is attached yet. @throws ERR_HOOK_UNAVAILABLE */
export function chooseHooks(native: NativeAddon, { gates, avoid }: HookOptions): Hooks {
  const outcomes = new Map<HookName, HookOutcome[]>(HOOKS.map(({ name }) => [name, []]));
  const chosen = new Map<HookName, HookLink>();
  let trampolinesRefused: string | undefined;
  for (const hook of HOOKS) choose(hook);
  let listener = openListener();

  function choose(hook: Hook): HookLink {
    const tried = outcomes.get(hook.name) ?? [];
    const left = hook.links.filter(({ kind }) => !tried.some(({ link }) => link === kind));
    const kept = left.find(
      ({ kind, place, programs }) =>
        isGated(place) && !avoid.includes(kind) && programs.every(gates.isPinned),
    );
    for (const link of kept ? [kept] : left) {
      const outcome = tryGates(link);
      if (outcome === undefined) {
        chosen.set(hook.name, link);
        return link;
      }
      tried.push(outcome);
    }
    throw createError('ERR_HOOK_UNAVAILABLE', { hook: hook.name, reason: tried.map(describe).join(', ') });
  }

  /** Undefined: the kernel takes them. */
  function tryGates(link: HookLink): HookOutcome | undefined {
    const { kind, since, programs, place, needs = [] } = link;
    const unsupported = (reason: string): HookOutcome => ({
      state: 'unsupported',
      link: kind,
      reason,
      since,
    });
    if (avoid.includes(kind)) return unsupported('hooks.avoid names it');
    const missing = needs.find((need) => !isThere(native, need));
    if (missing) return unsupported(`${missing.why}: no ${missing.name}`);
    if (!isGated(place)) return undefined;
    if (TRAMPOLINES.includes(kind) && trampolinesRefused) return unsupported(trampolinesRefused);
    try {
      gates.load(programs);
      return undefined;
    } catch (error) {
      const { code, log = '' } = error as NativeError;
      const reason = `${code ?? 'error'}: ${firstComplaint(log) ?? reasonOf(error)}`;
      if (code === 'EPERM' && TRAMPOLINES.includes(kind)) trampolinesRefused = reason;
      return unsupported(reason);
    }
  }

  function openListener(): UeventListener {
    return openListenerFor(native, link('uevent_emission'));
  }

  function link(hook: HookName): HookLink {
    return chosen.get(hook) as HookLink;
  }

  function fail(hook: Hook, error: string): HookLink {
    const failed = link(hook.name);
    outcomes.get(hook.name)?.push({ state: 'failed', link: failed.kind, error });
    const next = choose(hook);
    const used = new Set(programNames());
    for (const name of failed.programs) if (!used.has(name)) gates.remove(name);
    return next;
  }

  function programNames(): string[] {
    return [...new Set([...chosen.values()].flatMap(({ programs }) => programs)), LISTENER_PROGRAM];
  }

  function gateProgramNames(): string[] {
    return gateProgramsOf(HOOKS.map(({ name }) => link(name)));
  }

  return {
    outcomes,
    programs: programNames,
    gatePrograms: gateProgramNames,
    link,
    refuse(program, reason) {
      const hooks = HOOKS.filter(({ name }) => link(name).programs.includes(program));
      for (const hook of hooks) {
        if (fail(hook, reason).place !== 'listener') continue;
        listener.close();
        listener = openListener();
      }
    },
    attach(first, load, { reuse } = { reuse: false }) {
      if (!reuse) for (const name of gateProgramNames()) gates.fill(name, first.program(name));
      const failures = new Map<Hook, string>();
      for (const hook of HOOKS) {
        const error = attachLink(link(hook.name), gates);
        if (error) failures.set(hook, error);
      }
      if (!reuse) gates.switchSets();
      listen(first);
      for (const hook of HOOKS) {
        let error = failures.get(hook) ?? prove(hook, first);
        while (error !== undefined) {
          const next = fail(hook, error);
          const programs = load(next.programs);
          for (const name of next.place === 'listener' ? [] : next.programs)
            gates.replace(name, programs.program(name));
          if (next.place === 'listener') {
            listener.close();
            listener = openListener();
            listen(programs);
          }
          error = attachLink(next, gates) ?? prove(hook, first);
        }
        const { kind, place } = link(hook.name);
        outcomes.get(hook.name)?.push({ state: place === 'receivers' ? 'detached' : 'attached', link: kind });
      }
      gates.keepOnly(new Set(programNames()));
      gates.forgetOldSet();
    },
    listener: () => listener,
    close: () => listener.close(),
  };

  function listen(programs: LoadedPrograms): void {
    fillListener(programs);
    listenWith(listener, programs.program(LISTENER_PROGRAM), programs.map('allowed_receivers'));
  }

  /** What is wrong, or undefined. */
  function prove(hook: Hook, programs: LoadedPrograms): string | undefined {
    const missing = missingCanaries(native, hook.name, link(hook.name), {
      settings: programs.map('settings'),
      counts: programs.map('canary_counts'),
      listener,
      delivery: () => gates.program('uevent_delivery_socket'),
    });
    return missing.length > 0 ? `attached, but never runs (${missing.join(', ').toLowerCase()})` : undefined;
  }
}

function attachLink({ place, programs }: HookLink, gates: Gates): string | undefined {
  if (place !== 'kernel') return undefined;
  try {
    for (const name of programs) gates.attach(name);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

function describe(outcome: HookOutcome): string {
  if (outcome.state === 'failed') return `${outcome.link}: ${outcome.error}`;
  return `${outcome.link}: ${outcome.state === 'unsupported' ? outcome.reason : outcome.state}`;
}

function isThere(native: NativeAddon, { kind, name }: Need): boolean {
  if (kind === 'file') return existsSync(name);
  if (kind === 'field') return hasField(native, name);
  return readKernelBtf(native, (btf) => btf.find(name, kind) !== 0);
}

/** The program that the kernel refused, where the error names one. */
export function refusedProgram(error: unknown): string | undefined {
  return error instanceof LoopwardenError && error.code === 'ERR_PROGRAM_REFUSED'
    ? /the program (\S+):/.exec(error.message)?.[1]
    : undefined;
}
