/** What a command is, and what it gets. */
import type { LoadedConfig } from '../config/load.js';
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
}

export interface Command {
  name: string;
  /** As in usage: `DEVICE`, `on|off`. */
  argument?: string;
  /** Words after that, as many as there are: `COMMAND`. */
  rest?: string;
  summary: string;
  options?: readonly CommandOption[];
  /** Resolves with the exit code: one of ours, or that of a command that was run. */
  action(context: CommandContext): Promise<ExitCode | number>;
}

/** A name above others, with nothing to do by itself. */
export interface CommandGroup {
  name: string;
  argument?: never;
  rest?: never;
  summary: string;
  options?: never;
  commands: readonly Command[];
}
