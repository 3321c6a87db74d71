/** The command line: global options, the commands, and how anything that was thrown ends. */
import { Command as CommanderCommand, CommanderError, Option } from 'commander';
import { CONFIG_KEYS } from '../config/keys.js';
import { loadConfig } from '../config/load.js';
import { createError, EXIT, exitCodeOf, renderErrorLine } from '../errors.js';
import { jsonText } from '../sinks/json-text.js';
import { VERSION } from '../version.js';
import { createControlClient } from '../web/control-client.js';
import type { Command, CommandGroup } from './command.js';
import { devices } from './devices.js';
import { doctor } from './doctor.js';
import { events } from './events.js';
import { explain } from './explain.js';
import { filter } from './filter.js';
import { loopfs } from './loopfs.js';
import { losetup } from './losetup.js';
import { ociHook } from './oci-hook.js';
import { run } from './run.js';
import { uninstall } from './uninstall.js';

export const COMMANDS: readonly (Command | CommandGroup)[] = [
  run,
  doctor,
  devices,
  events,
  explain,
  filter,
  loopfs,
  losetup,
  ociHook,
  uninstall,
];

const FLAGGED = CONFIG_KEYS.filter((entry) => entry.flag !== undefined);

/** Runs one command line (without node and script) and returns its exit code. Prints errors, never throws. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = new CommanderCommand('loopwarden')
    .description('Audits, tags and hides the loop devices of user namespaces on a stock kernel.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  for (const command of COMMANDS) {
    addCommand(program, command, (code) => {
      exitCode = code;
    });
  }
  // A reader that has gone (a pager, head) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return endOfUsage(error);
    process.stderr.write(`${renderErrorLine(error)}\n`);
    return exitCodeOf(error);
  }
}

function addCommand(
  program: CommanderCommand,
  command: Command | CommandGroup,
  onExit: (code: number) => void,
): void {
  const usage = [
    command.name,
    ...(command.argument ? [`<${command.argument}>`] : []),
    ...(command.rest ? [`[${command.rest}...]`] : []),
  ].join(' ');
  const added = program
    .command(usage)
    .description(command.summary)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  if ('commands' in command) for (const each of command.commands) addCommand(added, each, onExit);
  else addAction(added, command, onExit);
}

function addAction(added: CommanderCommand, command: Command, onExit: (code: number) => void): void {
  added
    .option('--json', 'one JSON document (a stream is NDJSON)')
    .option('--config <path>', 'config file (default: /etc/loopwarden/config.yaml, if it is there)');
  for (const { flag = '', description } of FLAGGED)
    added.addOption(new Option(`${flag} <value>`, description));
  for (const { flags, description } of command.options ?? []) added.option(flags, description);
  added.action(async (...given: unknown[]) => {
    const options = added.opts<Record<string, unknown>>();
    const loaded = loadConfig({
      configPath: options.config as string | undefined,
      env: process.env,
      flags: Object.fromEntries(
        FLAGGED.map(({ key, flag = '' }) => [key, options[camel(flag)] as string | undefined]),
      ),
    });
    onExit(
      await command.action({
        loaded,
        agent: createControlClient(loaded.config.api.socket),
        json: options.json === true,
        args: given.flat().filter((value): value is string => typeof value === 'string'),
        options,
        print: (value) => process.stdout.write(`${typeof value === 'string' ? value : jsonText(value)}\n`),
      }),
    );
  });
}

/** Help and version end well; everything else that commander refuses is a usage error in our own form. */
function endOfUsage(error: CommanderError): number {
  if (error.exitCode === 0) return EXIT.ok;
  // No command was named, or help was asked on one that there is not: commander has written the help to stderr.
  if (error.code === 'commander.help') return EXIT.usage;
  const reason = error.message.replace(/^error: /, '');
  process.stderr.write(`${renderErrorLine(createError('ERR_USAGE', { reason }))}\n`);
  return EXIT.usage;
}

/** `--audit-log` → `auditLog`, as commander names it. */
function camel(flag: string): string {
  return flag.replace(/^--/, '').replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
