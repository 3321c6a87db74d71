/** The agent's own log on stderr: JSON lines, or a short line for people on a terminal. */
import { type DestinationStream, destination, type Logger, levels, pino } from 'pino';
import { stringText } from './json-text.js';

export interface AgentLogOptions {
  level: string;
  /** Defaults to whether stderr is a terminal. */
  human?: boolean;
  /** Where lines go; defaults to stderr. */
  stream?: DestinationStream;
}

/** Synchronous, so that the last line before a crash is on the disk. */
export function createAgentLog(options: AgentLogOptions): Logger {
  const { level, human = process.stderr.isTTY === true } = options;
  const stream = options.stream ?? destination({ dest: 2, sync: true });
  const target = human ? { write: (line: string) => stream.write(humanLine(line)) } : stream;
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, target);
}

function humanLine(line: string): string {
  const {
    level,
    time,
    msg = '',
    ...rest
  } = JSON.parse(line) as { level: number; time: string; msg?: string };
  const name = (levels.labels[level] ?? '').padEnd(5);
  const fields = Object.entries(rest).map(([key, value]) => ` ${key}=${plain(value)}`);
  return `${time.slice(11, 19)} ${name} ${plain(msg)}${fields.join('')}\n`;
}

// Quoted only where it must be: what came from other processes must not steer the terminal.
function plain(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const quoted = stringText(text);
  return quoted.length === text.length + 2 ? text : quoted;
}
