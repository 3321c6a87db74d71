/** `loopwarden top`: who uses loop devices now. */
import { columnList } from './column.js';
import type { Command } from './command.js';
import { DEFAULT_USER_COLUMNS, USER_COLUMNS } from './user-columns.js';

export const top: Command = {
  name: 'top',
  summary: 'who uses loop devices now: containers and user namespaces by what they do',
  details: [
    'Live on a terminal, until interrupted; once with -n 1, and where the output is no terminal. Rates are of the last ten seconds. A container is one line, whatever its user namespaces; outside of containers each user namespace is one, and the host is one.',
    `Columns (default: ${DEFAULT_USER_COLUMNS.join(', ')}):`,
    ...columnList(USER_COLUMNS),
  ],
  options: [
    { flags: '-n, --iterations <count>', description: 'draw so often, then end' },
    { flags: '-d, --delay <seconds>', description: 'seconds between two (default 2)' },
    {
      flags: '-o, --output <list>',
      description: 'columns, or +columns in addition to the default ones',
      values: USER_COLUMNS.map(({ name }) => name),
    },
    {
      flags: '-x, --sort <column>',
      description: 'sort by a column, the most first (default: IOCTL/S, then BOUND)',
      values: USER_COLUMNS.map(({ name }) => name),
    },
    { flags: '-a, --all', description: 'also those that have nothing and have done nothing lately' },
  ],
  examples: [
    { words: 'top', what: 'live' },
    { words: 'top -n 1 --sort FAIL/S', what: 'who fails most, once' },
    { words: 'top --json', what: 'for a script' },
  ],
  async action(context) {
    const { showUsers } = await import('./user-list.js');
    return showUsers(context);
  },
};
