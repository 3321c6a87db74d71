/** What there is to complete, shell by shell the same. */
import { COMMANDS } from './catalog.js';
import type { Command, CommandGroup, CommandOption, WordKind } from './command.js';
import { COMMON_OPTIONS } from './common-options.js';

export interface CompletedOption {
  /** With their dashes: `['-o', '--output']`. */
  flags: string[];
  /** Name of what it takes; undefined: nothing. */
  takes: string | undefined;
  /** A list of the values, joined by commas. */
  isList: boolean;
  values: readonly string[] | WordKind | undefined;
  description: string;
}

export interface CompletedCommand {
  /** `['loopfs', 'create']` */
  path: string[];
  summary: string;
  options: CompletedOption[];
  /** Of its argument. */
  values: readonly string[] | WordKind | undefined;
  takes: string | undefined;
}

export interface CompletedGroup {
  name: string;
  summary: string;
  commands: readonly Command[];
}

/** First words of the command line. */
export function firstWords(): { name: string; summary: string }[] {
  return COMMANDS.map(({ name, summary }) => ({ name, summary }));
}

export function groups(): CompletedGroup[] {
  return COMMANDS.filter((each): each is CommandGroup => 'commands' in each);
}

export function completedCommands(): CompletedCommand[] {
  return COMMANDS.flatMap((each) =>
    'commands' in each
      ? each.commands.map((below) => describe([each.name, below.name], below))
      : [describe([each.name], each)],
  );
}

function describe(path: string[], command: Command): CompletedCommand {
  const takes = command.argument ?? command.optionalArgument;
  const listed = takes?.includes('|') ? takes.split('|') : undefined;
  return {
    path,
    summary: command.summary,
    options: [...(command.options ?? []), ...COMMON_OPTIONS, HELP].map(describeOption),
    values: command.argumentValues ?? listed,
    takes,
  };
}

const HELP: CommandOption = { flags: '-h, --help', description: 'display help for command' };

function describeOption({ flags, description, values }: CommandOption): CompletedOption {
  const takes = /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1];
  return {
    flags: flags.match(/(?<![\w<[])--?[a-z][a-z-]*/gi) ?? [],
    takes,
    isList: takes === 'list',
    values,
    description,
  };
}
