/** `loopwarden filter on|off`: until the agent's next start, which goes by the config again. */
import { createError, EXIT, type ExitCode } from '../errors.js';
import type { Command } from './command.js';

const MODES: Readonly<Record<string, string>> = { on: 'hide', off: 'off', observe: 'observe' };

export const filter: Command = {
  name: 'filter',
  argument: 'on|off|observe',
  summary: 'put the filter on every uevent socket of the host, or take it off',
  details: ['Until the agent’s next start, which goes by filter.mode of the config again.'],
  examples: [
    { words: 'filter off', what: 'let the host’s udev have every event, now' },
    { words: 'filter observe', what: 'only count what would be hidden' },
  ],
  async action({ agent, args, json, print }): Promise<ExitCode> {
    const [word = ''] = args;
    const mode = Object.hasOwn(MODES, word) ? MODES[word] : undefined;
    if (mode === undefined)
      throw createError('ERR_USAGE', { reason: `filter takes on, off or observe, not "${word}"` });
    const answer = (await agent.request('PUT', '/api/v1/filter', { mode })) as { filterMode: string };
    print(json ? answer : `filter is ${answer.filterMode === 'hide' ? 'on' : answer.filterMode}`);
    return EXIT.ok;
  },
};
