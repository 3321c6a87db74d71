/** Options of every command: how it answers, and the config. */
import { CONFIG_KEYS } from '../config/keys.js';
import { COLOR_WORDS } from './color.js';
import type { CommandOption } from './command.js';

/** Keys of the config that have a flag. */
export const FLAGGED_KEYS = CONFIG_KEYS.filter((entry) => entry.flag !== undefined);

export const COMMON_OPTIONS: readonly CommandOption[] = [
  { flags: '-J, --json', description: 'one JSON document (a stream is NDJSON)' },
  {
    flags: '--color <when>',
    description: `${COLOR_WORDS.join(', ')}: auto is on a terminal, without NO_COLOR`,
    values: COLOR_WORDS,
  },
  {
    flags: '--config <path>',
    description: 'config file (default: /etc/loopwarden/config.yaml, if it is there)',
    values: 'file',
  },
  ...FLAGGED_KEYS.map(
    (key): CommandOption => ({
      flags: `${key.flag ?? ''} <value>`,
      description: key.description,
      get values() {
        return valuesOf(key.allowed);
      },
    }),
  ),
];

/** Names out of a list, or a path; nobody knows a number. */
function valuesOf(allowed: string): CommandOption['values'] {
  if (allowed.includes(' or ')) return allowed.split(/, | or /);
  return allowed === 'text' ? 'file' : undefined;
}
