/** The verdict for the host's udev, and the rule behind it, in words. */
import { type OwnerClass, ownerClass, ownerOf, USERNS_NONE } from '../devices/owners.js';
import { type OwnerEntry, RULE, RULE_NAMES } from '../kernel/abi.js';
import type { FilterModeName } from '../kernel/settings.js';

export interface Explanation {
  owner: bigint;
  ownerClass: OwnerClass;
  verdict: 'deliver' | 'hide';
  rule: string;
  words: string;
}

const WORDS: Record<string, string> = {
  unknown_owner: 'nobody was seen to make it or to attach its file, so it is treated as the host’s',
  initial_owner: 'it belongs to the host (the initial user namespace)',
  observe: 'a user namespace owns it, but filter.mode is not hide',
  creator: 'a user namespace made it, and nobody of the host has attached a file to it',
  holder: 'a user namespace attached its backing file',
};

/** The same decision as owner_resolve and receiver_rule of bpf/, for a receiver of the host. */
export function explainVerdict(entry: OwnerEntry | undefined, mode: FilterModeName): Explanation {
  const owner = ownerOf(entry);
  const kind = ownerClass(owner);
  const rule = ruleName(ruleOf(entry, kind, mode));
  const hidden = rule === 'creator' || rule === 'holder';
  return { owner, ownerClass: kind, verdict: hidden ? 'hide' : 'deliver', rule, words: WORDS[rule] ?? rule };
}

function ruleOf(entry: OwnerEntry | undefined, kind: OwnerClass, mode: FilterModeName): number {
  if (kind === 'unknown') return RULE.UNKNOWN_OWNER;
  if (kind === 'initial') return RULE.INITIAL_OWNER;
  if (mode !== 'hide') return RULE.OBSERVE;
  return entry?.holder === USERNS_NONE ? RULE.CREATOR : RULE.HOLDER;
}

/** As in metrics, log and output: `receiver_owns`. */
export function ruleName(rule: number): string {
  return RULE_NAMES.get(rule)?.toLowerCase() ?? String(rule);
}
