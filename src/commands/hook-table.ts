/** What became of each hook's links, in the order in which they were tried. */
import type { HookName, HookOutcome } from '../kernel/hooks.js';
import { table } from './table.js';

export function hookTable(hooks: readonly { hook: HookName; outcomes: readonly HookOutcome[] }[]): string {
  return table(
    hooks.map(({ hook, outcomes }) => [
      `  ${hook}`,
      outcomes.map(({ state, link }) => `${state} by ${link}`).join(', '),
    ]),
  );
}
