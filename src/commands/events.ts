/** `loopwarden events`: what happened, and with --follow what happens. */
import { EXIT, type ExitCode } from '../errors.js';
import type { Command } from './command.js';
import { renderEvent } from './event-line.js';

export const events: Command = {
  name: 'events',
  summary: 'show the latest events; NDJSON with --json',
  options: [
    { flags: '-f, --follow', description: 'go on with new ones until interrupted' },
    { flags: '-n, --lines <count>', description: 'how many of the latest (default 100)' },
  ],
  async action({ agent, json, options, print }): Promise<ExitCode> {
    const query = new URLSearchParams({ limit: String(options.lines ?? 100) });
    if (options.follow === true) query.set('follow', '1');
    for await (const line of agent.stream(`/api/v1/events?${query}`)) print(json ? line : renderEvent(line));
    return EXIT.ok;
  },
};
