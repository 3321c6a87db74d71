/** `loopwarden devices`: root's one full view, whatever is hidden from udev. */
import { columnList } from './column.js';
import type { Command } from './command.js';
import { DEFAULT_DEVICE_COLUMNS, DEVICE_COLUMNS } from './device-columns.js';
import { DEVICE_STATES } from './device-filter.js';
import { OWNER_WORDS } from './owner-filter.js';

export const devices: Command = {
  name: 'devices',
  summary: 'list loop devices, and what stands on those of user namespaces, with their owners',
  details: [
    'Without a filter those with a backing file, and those that a user namespace owns; of other drivers (device-mapper, md, zram) only the latter. Filters are joined by "and".',
    `Columns (-o +COL adds to the default ones, ${DEFAULT_DEVICE_COLUMNS.join(', ')}):`,
    ...columnList(DEVICE_COLUMNS),
  ],
  options: [
    { flags: '-a, --all', description: 'also those without a backing file that nobody owns' },
    {
      flags: '-o, --output <list>',
      description: 'columns, or +columns in addition to the default ones',
      values: DEVICE_COLUMNS.map(({ name }) => name),
    },
    { flags: '--output-all', description: 'every column' },
    {
      flags: '-r, --raw',
      description: 'columns one blank apart, with \\x20 for a blank within: for scripts',
    },
    { flags: '-n, --noheadings', description: 'no line of headings' },
    { flags: '-b, --bytes', description: 'sizes in bytes' },
    {
      flags: '-x, --sort <column>',
      description: 'sort by a column',
      values: DEVICE_COLUMNS.map(({ name }) => name),
    },
    {
      flags: '-w, --watch',
      description: 'live, until interrupted; with --json a document a line whenever something has changed',
    },
    {
      flags: '--owner <who>',
      description: `${OWNER_WORDS.join(', ')}, or the number of a user namespace`,
      values: OWNER_WORDS,
    },
    {
      flags: '--container <name>',
      description: 'name, id or its beginning, pod, with or without the runtime: docker/web',
    },
    { flags: '--state <state>', description: DEVICE_STATES.join(' or '), values: DEVICE_STATES },
    { flags: '--orphans', description: 'those whose user namespace is gone' },
  ],
  examples: [
    { words: 'devices --owner userns -w', what: 'what containers have now, live' },
    { words: 'devices -o NAME,OFFSET,BACK-FILE,OWNER --sort OWNER', what: 'columns of one’s own' },
    { words: 'devices --orphans -n -r -o NAME', what: 'names of leaked devices, for a script' },
  ],
  async action(context) {
    const { listDevices } = await import('./device-list.js');
    return listDevices(context);
  },
};
