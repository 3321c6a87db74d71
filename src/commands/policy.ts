/** `loopwarden policy check [FILE]`: whether a config is one, and what it means. */
import { EXIT } from '../errors.js';
import type { Command, CommandGroup } from './command.js';

const check: Command = {
  name: 'check',
  optionalArgument: 'FILE',
  argumentValues: 'file',
  argumentIsConfig: true,
  summary: 'validate a config file and tell in words what it has the agent do',
  details: [
    'Without FILE the config that the agent would use: --config, or /etc/loopwarden/config.yaml if it is there. LOOPWARDEN_* variables and flags count, as they do for the agent.',
    'An unknown key, or a value that cannot be, ends it with exit code 2 and its place: file:line:column.',
  ],
  examples: [
    { words: 'policy check ./config.yaml && systemctl restart loopwarden', what: 'before it goes live' },
  ],
  async action({ loaded, json, print, args, options }) {
    const { describePolicy, renderPolicy } = await import('./policy-words.js');
    const policyWords = describePolicy(loaded);
    const file = args[0] ?? options.config ?? null;
    print(
      json
        ? { file, ...policyWords, config: loaded.config, origins: loaded.origins }
        : renderPolicy(policyWords),
    );
    return EXIT.ok;
  },
};

export const policy: CommandGroup = {
  name: 'policy',
  summary: 'the policy that the config makes',
  commands: [check],
};
