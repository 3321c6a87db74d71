/** `loopwarden completion SHELL`: a script that completes commands, options and their values. */
import { createError, EXIT } from '../errors.js';
import type { Command } from './command.js';

export const completion: Command = {
  name: 'completion',
  argument: 'bash|zsh|fish',
  summary: 'print a script that completes the command line in a shell',
  examples: [
    { words: 'completion bash > /etc/bash_completion.d/loopwarden', what: 'in bash, for everybody' },
    { words: 'completion zsh > /usr/local/share/zsh/site-functions/_loopwarden', what: 'in zsh' },
    { words: 'completion fish > /etc/fish/completions/loopwarden.fish', what: 'in fish' },
  ],
  async action({ args, json, print }) {
    const { COMPLETION_SCRIPTS } = await import('./completion-script.js');
    const [shell = ''] = args;
    if (!Object.hasOwn(COMPLETION_SCRIPTS, shell))
      throw createError('ERR_USAGE', { reason: `completion takes bash, zsh or fish, not "${shell}"` });
    const script = COMPLETION_SCRIPTS[shell as keyof typeof COMPLETION_SCRIPTS]();
    print(json ? { shell, script } : script.trimEnd());
    return EXIT.ok;
  },
};
