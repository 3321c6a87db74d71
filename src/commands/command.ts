/** What a command is, and what it gets. */
import type { LoadedConfig } from '../config/assemble.js';
import type { ExitCode } from '../errors.js';
import type { ControlClient } from '../web/control-client.js';

export interface CommandContext {
  loaded: LoadedConfig;
  /** Lazily connected: nothing is asked before the first request. */
  agent: ControlClient;
  json: boolean;
  /** The command's own arguments, with the words after them, and options. */
  args: readonly string[];
  options: Readonly<Record<string, unknown>>;
  /** Text as it is, anything else as one JSON document; a newline is added. */
  print(value: unknown): void;
}

export interface CommandOption {
  flags: string;
  description: string;
  /** All that it takes, or what its words are: for completion. */
  readonly values?: readonly string[] | WordKind | undefined;
}

/** What a shell can complete by itself. */
export type WordKind = 'file' | 'device' | 'command';

export interface CommandExample {
  words: string;
  what: string;
}

export interface Command {
  name: string;
  /** As in usage: `DEVICE`, `on|off`. */
  argument?: string;
  /** The same where it may be left out. */
  optionalArgument?: string;
  /** For completion; not needed where the argument's name lists them: `on|off`. */
  argumentValues?: WordKind;
  /** The argument is a config file, which takes the place of --config. */
  argumentIsConfig?: true;
  /** Words after that, as many as there are: `COMMAND`. */
  rest?: string;
  summary: string;
  /** For the help and the man page: paragraphs, without line breaks in them unless a line begins with a blank. */
  details?: readonly string[];
  options?: readonly CommandOption[];
  examples?: readonly CommandExample[];
  /** Imports what it needs by itself, so that no command waits for what another needs. Resolves with the exit code: one of ours, or that of a command that was run. */
  action(context: CommandContext): Promise<ExitCode | number>;
}

/** A name above others, with nothing to do by itself. */
export interface CommandGroup {
  name: string;
  argument?: never;
  optionalArgument?: never;
  rest?: never;
  summary: string;
  details?: readonly string[];
  options?: never;
  commands: readonly Command[];
}
