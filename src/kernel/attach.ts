/** Attaches each hook by its best link that the kernel takes, and remembers what became of it. */
import { createError, reasonOf } from '../errors.js';
import { HOOKS, type Hook, type HookLink, type HookName, type HookOutcome } from './hooks.js';
import type { BpfLink, UeventListener } from './native.js';
import type { LoadedPrograms } from './programs.js';

export interface Hooks {
  readonly outcomes: ReadonlyMap<HookName, readonly HookOutcome[]>;
  /** @throws ERR_HOOK_UNAVAILABLE when a hook has no link left; then nothing stays attached. */
  attach(): void;
  /** The filter on the receivers comes and goes with the filter mode. */
  setDelivery(attached: boolean): void;
  close(): void;
}

export function createHooks(programs: LoadedPrograms, listener: UeventListener): Hooks {
  /** By program: one may serve several hooks, and is attached once. */
  const links = new Map<string, BpfLink>();
  const outcomes = new Map<HookName, HookOutcome[]>();
  const close = (): void => {
    for (const link of links.values()) link.close();
    links.clear();
  };
  return {
    outcomes,
    attach() {
      try {
        for (const hook of HOOKS) outcomes.set(hook.name, attachHook(hook, programs, listener, links));
      } catch (error) {
        close();
        throw error;
      }
    },
    setDelivery(attached) {
      const state = attached ? 'attached' : 'detached';
      outcomes.set('uevent_delivery', [{ state, link: 'socket_filter' }]);
    },
    close,
  };
}

function attachHook(
  hook: Hook,
  programs: LoadedPrograms,
  listener: UeventListener,
  links: Map<string, BpfLink>,
): HookOutcome[] {
  const outcomes: HookOutcome[] = [];
  for (const link of hook.links) {
    const outcome = tryLink(hook, link, programs, listener, links);
    outcomes.push(outcome);
    if (outcome.state !== 'failed') return outcomes;
  }
  const reason = outcomes
    .map((each) => `${each.link}: ${each.state === 'failed' ? each.error : each.state}`)
    .join(', ');
  throw createError('ERR_HOOK_UNAVAILABLE', { hook: hook.name, reason });
}

function tryLink(
  hook: Hook,
  { kind, programs: names }: HookLink,
  programs: LoadedPrograms,
  listener: UeventListener,
  links: Map<string, BpfLink>,
): HookOutcome {
  // Receivers get theirs one by one (receivers.ts), as they are found.
  if (hook.place === 'receivers') return { state: 'detached', link: kind };
  const missing = names.filter((name) => !links.has(name));
  const attached = new Map<string, BpfLink>();
  try {
    for (const name of missing) {
      if (hook.place === 'listener') listener.attach(programs.program(name));
      else attached.set(name, programs.program(name).attach());
    }
  } catch (error) {
    for (const link of attached.values()) link.close();
    return { state: 'failed', link: kind, error: reasonOf(error) };
  }
  for (const [name, link] of attached) links.set(name, link);
  return { state: 'attached', link: kind };
}
