/** A command as the command line calls it, with an agent that answers as it is told. */
import type { Command } from '../../src/commands/command.js';
import { type LoadedConfig, loadConfig } from '../../src/config/load.js';
import { createError } from '../../src/errors.js';
import type { ControlClient } from '../../src/web/control-client.js';

export interface Answers {
  /** Path → answer; a function is called with the request; undefined: no agent. */
  request?: Record<string, unknown> | undefined;
  /** Lines of every stream; undefined: no agent. */
  lines?: readonly string[] | undefined;
}

export interface Run {
  code: number;
  asked: unknown[][];
  printed: unknown[];
  text: string;
}

export const LOADED = loadConfig({ defaultPath: '/nonexistent/config.yaml' });

/** With the audit log there. */
export function loadedWith(auditPath: string): LoadedConfig {
  return loadConfig({ defaultPath: '/nonexistent/config.yaml', flags: { 'audit.path': auditPath } });
}

export async function runCommand(
  command: Command,
  answers: Answers,
  more: { args?: string[]; options?: object; json?: boolean; loaded?: LoadedConfig } = {},
): Promise<Run> {
  const asked: unknown[][] = [];
  const printed: unknown[] = [];
  const agent: ControlClient = {
    async request(...request) {
      asked.push(request);
      const [, path] = request;
      if (answers.request === undefined || !(path in answers.request))
        throw createError('ERR_AGENT_NOT_RUNNING', { path: '/none' });
      const answer = answers.request[path];
      if (answer instanceof Error) throw answer;
      return answer;
    },
    async *stream(path) {
      asked.push(['GET', path]);
      if (answers.lines === undefined) throw createError('ERR_AGENT_NOT_RUNNING', { path: '/none' });
      yield* answers.lines;
    },
  };
  const code = await command.action({
    loaded: more.loaded ?? LOADED,
    agent,
    json: more.json === true,
    args: more.args ?? [],
    options: { ...more.options },
    print: (value) => printed.push(value),
  });
  return { code, asked, printed, text: printed.map(String).join('\n') };
}
