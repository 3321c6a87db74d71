/** The command line: global options, the commands, and how anything that was thrown ends. */
import { existsSync } from 'node:fs';
import { Command as CommanderCommand, CommanderError, Option } from 'commander';
import {
  assembleConfig,
  type ConfigSources,
  DEFAULT_CONFIG_PATH,
  type LoadedConfig,
} from '../config/assemble.js';
import { createError, EXIT, exitCodeOf, renderErrorLine } from '../errors.js';
import { jsonText } from '../sinks/json-text.js';
import { VERSION } from '../version.js';
import { createControlClient } from '../web/control-client.js';
import { COMMANDS } from './catalog.js';
import { COLOR_WORDS } from './color.js';
import type { Command, CommandGroup } from './command.js';
import { COMMON_OPTIONS, FLAGGED_KEYS } from './common-options.js';
import { helpAfter } from './help-text.js';

export { COMMANDS } from './catalog.js';

/** Runs one command line (without node and script) and returns its exit code. Prints errors, never throws. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = new CommanderCommand('loopwarden')
    .description('Audits, tags and hides the loop devices of user namespaces on a stock kernel.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  for (const command of COMMANDS) {
    const onExit = (code: number) => {
      exitCode = code;
    };
    addCommand(program, command, isAsked(command, argv) ? onExit : undefined);
  }
  // A reader that has gone (a pager, head) is no failure. A command that has something to undo listens for it.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (!process.emit('SIGPIPE', 'SIGPIPE')) process.exit(EXIT.ok);
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

/** The options of all the others are not needed for one command; they are for what is none. */
function isAsked({ name }: Command | CommandGroup, [first = '']: readonly string[]): boolean {
  return name === first || !COMMANDS.some((command) => command.name === first);
}

/** Without `onExit` it is only there for the list of commands. */
function addCommand(
  program: CommanderCommand,
  command: Command | CommandGroup,
  onExit: ((code: number) => void) | undefined,
): void {
  const usage = [
    command.name,
    ...(command.argument ? [`<${command.argument}>`] : []),
    ...(command.optionalArgument ? [`[${command.optionalArgument}]`] : []),
    ...(command.rest ? [`[${command.rest}...]`] : []),
  ].join(' ');
  const added = program
    .command(usage)
    .description(command.summary)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  if (onExit === undefined) return;
  added.addHelpText('after', helpAfter(command));
  if ('commands' in command) for (const each of command.commands) addCommand(added, each, onExit);
  else addAction(added, command, onExit);
}

function addAction(added: CommanderCommand, command: Command, onExit: (code: number) => void): void {
  for (const { flags, description } of [...(command.options ?? []), ...COMMON_OPTIONS])
    added.addOption(new Option(flags, description));
  added.action(async (...given: unknown[]) => {
    const options = added.opts<Record<string, unknown>>();
    const args = given.flat().filter((value): value is string => typeof value === 'string');
    const configPath = (command.argumentIsConfig && args[0]) || (options.config as string | undefined);
    checkColor(options.color);
    const loaded = await loadConfig({
      configPath,
      env: process.env,
      flags: Object.fromEntries(
        FLAGGED_KEYS.map(({ key, flag = '' }) => [key, options[camel(flag)] as string | undefined]),
      ),
    });
    onExit(
      await command.action({
        loaded,
        agent: createControlClient(loaded.config.api.socket),
        json: options.json === true,
        args,
        options,
        print: (value) => process.stdout.write(`${typeof value === 'string' ? value : jsonText(value)}\n`),
      }),
    );
  });
}

function checkColor(word: unknown): void {
  const words: readonly unknown[] = COLOR_WORDS;
  if (word !== undefined && !words.includes(word))
    throw createError('ERR_USAGE', { reason: `--color takes ${COLOR_WORDS.join(', ')}` });
}

/** Where there is no file, which is usual, a command starts faster without what reads YAML. */
async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const isThere = existsSync(sources.configPath ?? DEFAULT_CONFIG_PATH);
  const readFile = isThere ? (await import('../config/file.js')).readConfigFile : () => undefined;
  return assembleConfig(sources, readFile);
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
