/** The verdict for the host's udev, and the rule behind it, in words. */
import type { Owner, OwnerClass } from '../devices/owners.js';
import { RULE, RULE_NAMES } from '../kernel/abi.js';
import type { FilterModeName, HideScopeName } from '../kernel/settings.js';

export interface Explanation {
  verdict: 'deliver' | 'hide';
  rule: string;
  words: string;
}

const WORDS: Readonly<Record<string, string>> = {
  unknown_owner: 'nobody was seen to make it or to attach its file, so it is treated as the host’s',
  initial_owner: 'it belongs to the host (the initial user namespace)',
  observe: 'a user namespace owns it, but filter.mode is not hide',
  creator: 'a user namespace made it, and nobody of the host has attached a file to it',
  holder: 'a user namespace attached its backing file',
  pending: 'a user namespace was about to attach its backing file',
  echo: 'udevd’s own watch repeats what a user namespace did that has just let go of it',
  stacked: 'it stands on a device that a user namespace owns',
  receiver_owns: 'the listener is in the user namespace that owns it',
  receiver_is_ancestor: 'the listener is in an ancestor of the user namespace that owns it',
  allow_list: 'the listener is on receivers.allow',
  not_loop: 'it is no loop device, nor another that a user namespace was seen to own',
};

/** The same of a container that has no user namespace of its own. */
const CONTAINER_WORDS: Readonly<Record<string, string>> = {
  initial_owner: 'a rootful container owns it, but hide.scope is userns',
  observe: 'a rootful container owns it, but filter.mode is not hide',
  creator: 'a rootful container made it, and nobody of the host has attached a file to it',
  holder: 'a rootful container attached its backing file',
  stacked: 'it stands on a device that a rootful container owns',
  pending: 'a rootful container was about to attach its backing file',
  echo: 'udevd’s own watch repeats what a rootful container did that has just let go of it',
};

/** The words behind a rule by its name; the name itself for one that is not known. */
export function ruleWords(rule: string, owner?: OwnerClass): string {
  const own = owner === 'container' && Object.hasOwn(CONTAINER_WORDS, rule) ? CONTAINER_WORDS : WORDS;
  return Object.hasOwn(own, rule) ? (own[rule] ?? rule) : rule;
}

/** The same decision as owner_resolve and receiver_rule of bpf/, for a receiver of the host. */
export function explainVerdict(
  owner: Pick<Owner, 'class' | 'as'>,
  mode: FilterModeName,
  scope: HideScopeName = 'container',
): Explanation {
  const number = ruleOf(owner, mode, scope);
  const rule = ruleName(number);
  return { verdict: HIDING.has(number) ? 'hide' : 'deliver', rule, words: ruleWords(rule, owner.class) };
}

const HIDING: ReadonlySet<number> = new Set([RULE.CREATOR, RULE.HOLDER, RULE.STACKED]);

function ruleOf(owner: Pick<Owner, 'class' | 'as'>, mode: FilterModeName, scope: HideScopeName): number {
  if (owner.class === 'unknown') return RULE.UNKNOWN_OWNER;
  if (owner.class === 'initial') return RULE.INITIAL_OWNER;
  if (owner.class === 'container' && scope !== 'container') return RULE.INITIAL_OWNER;
  if (mode !== 'hide') return RULE.OBSERVE;
  if (owner.as === 'stacked') return RULE.STACKED;
  return owner.as === 'creator' ? RULE.CREATOR : RULE.HOLDER;
}

/** As in metrics, log and output: `receiver_owns`. */
export function ruleName(rule: number): string {
  return RULE_NAMES.get(rule)?.toLowerCase() ?? String(rule);
}
