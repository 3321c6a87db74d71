/**
 * Every command, once: the command line, its help, the completion and the man pages come from here.
 *
 * Only what describes a command is loaded with it. What it does, it imports when it is called.
 */
import { audit } from './audit.js';
import type { Command, CommandGroup } from './command.js';
import { completion } from './completion.js';
import { demo } from './demo.js';
import { devices } from './devices.js';
import { doctor } from './doctor.js';
import { events } from './events.js';
import { explain } from './explain.js';
import { filter } from './filter.js';
import { load } from './load.js';
import { loopfs } from './loopfs.js';
import { losetup } from './losetup.js';
import { ociHook } from './oci-hook.js';
import { policy } from './policy.js';
import { run } from './run.js';
import { top } from './top.js';
import { uninstall } from './uninstall.js';

export const COMMANDS: readonly (Command | CommandGroup)[] = [
  run,
  doctor,
  devices,
  top,
  events,
  explain,
  filter,
  policy,
  loopfs,
  losetup,
  audit,
  ociHook,
  demo,
  load,
  uninstall,
  completion,
];

/** Those of groups with the words above them: [['loopfs'], create]. */
export function eachCommand(): [readonly string[], Command][] {
  return COMMANDS.flatMap((each): [string[], Command][] =>
    'commands' in each ? each.commands.map((below) => [[each.name], below]) : [[[], each]],
  );
}
