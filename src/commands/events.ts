/** `loopwarden events`: what happened, and with --follow what happens. */
import type { Command } from './command.js';
import { EVENT_COMMANDS, EVENT_OWNER_WORDS } from './event-filter.js';
import { SCHEMA_OPTION } from './schema-option.js';

export const events: Command = {
  name: 'events',
  summary: 'show what happened, and what happens; NDJSON with --json',
  details: [
    'The agent remembers the latest events (limits.recent_events). With --log, and where no agent answers, they come from the audit log with its rotated files (audit.ndjson.N, .N.gz), oldest first.',
    'Times are 10m, 2h or 1d (ago), today, yesterday, 04:40, 2026-11-25, 2026-11-25 04:40:20, RFC 3339 with its zone, or @SECONDS since 1970.',
    'Filters are joined by "and".',
  ],
  options: [
    { flags: '-f, --follow', description: 'go on with new ones until interrupted' },
    {
      flags: '-n, --lines <count>',
      description: 'how many of the latest, or all (default 100; all with --since, --until or --log)',
    },
    { flags: '--since <time>', description: 'not those before' },
    { flags: '--until <time>', description: 'not those after' },
    { flags: '--log', description: 'from the audit log and its rotated files' },
    {
      flags: '--owner <who>',
      description: `of devices of ${EVENT_OWNER_WORDS.join(', ')}, or of the user namespace of this number`,
      values: EVENT_OWNER_WORDS,
    },
    {
      flags: '--command <list>',
      description: 'only these: LOOP_CONFIGURE or configure, release, change, start …',
      values: EVENT_COMMANDS,
    },
    { flags: '--failed', description: 'only those that ended in an error' },
    { flags: '--device <device>', description: 'only of this one', values: 'device' },
    {
      flags: '--container <name>',
      description: 'only what a container did: its name, id or pod, docker/web',
    },
    SCHEMA_OPTION,
  ],
  examples: [
    { words: 'events --since 10m --failed', what: 'what went wrong in the last ten minutes' },
    { words: 'events -f --container docker/web', what: 'what a container does, as it does it' },
    { words: 'events --log --device loop7 --since yesterday', what: 'all that is logged of a device' },
    { words: 'events --log --command configure --json', what: 'for jq' },
    { words: 'events -f --failed --schema ocsf', what: 'for a system that keeps security events' },
  ],
  async action(context) {
    const { listEvents } = await import('./event-list.js');
    return listEvents(context);
  },
};
