/** What a command is, and what it gets. */
import type { LoadedConfig } from '../config/load.js';
import type { ExitCode } from '../errors.js';
import type { ControlClient } from '../web/control-client.js';

export interface CommandContext {
  loaded: LoadedConfig;
  /** Lazily connected: nothing is asked before the first request. */
  agent: ControlClient;
  json: boolean;
  /** The command's own arguments and options. */
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
  summary: string;
  options?: readonly CommandOption[];
  action(context: CommandContext): Promise<ExitCode>;
}

/** A name above others, with nothing to do by itself. */
export interface CommandGroup {
  name: string;
  argument?: never;
  summary: string;
  options?: never;
  commands: readonly Command[];
}
