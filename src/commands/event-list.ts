/** What `loopwarden events` does. */
import { once } from 'node:events';
import { createError, EXIT, type ExitCode } from '../errors.js';
import { localTime } from './clock-text.js';
import { chooseColors } from './color.js';
import type { CommandContext } from './command.js';
import { eventFilter } from './event-filter.js';
import { renderEvent } from './event-line.js';
import { NOW, readEvents } from './event-source.js';
import { timeOfLine } from './event-text.js';
import { awaitInterruption } from './interruption.js';
import { createLatest } from './latest.js';
import { notice } from './notice.js';
import { openSchemaOption } from './schema-option.js';
import { terminalColumns } from './table.js';

const DEFAULT_LINES = 100;
const MOST_LINES = 1_000_000;

export async function listEvents({ agent, loaded, json, options, print }: CommandContext): Promise<ExitCode> {
  const filter = eventFilter(options);
  const { sinceMs, untilMs } = filter;
  const log = options.log === true;
  const follow = options.follow === true;
  if (follow && untilMs !== undefined)
    throw createError('ERR_USAGE', { reason: '--follow has no end: --until does not go with it' });
  const isOld = log || sinceMs !== undefined || untilMs !== undefined;
  const schema = await openSchemaOption(options.schema);
  const lines = options.lines === undefined && !isOld ? DEFAULT_LINES : countOption(options.lines);
  const style = { colors: chooseColors(options.color), date: isOld, columns: terminalColumns() };
  const latest = createLatest<string>(lines);
  const { signal, end } = awaitInterruption();
  let history = true;
  let oldestMs: number | undefined;

  const show = async (line: string): Promise<void> => {
    const text = schema ? schema.map(line) : line;
    if (!json && !schema) print(renderEvent(line, style));
    // A consumer of NDJSON gets nothing else, whatever somebody has put into the file.
    else if (text?.startsWith('{') && text.endsWith('}')) print(text);
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain', { signal }).catch(() => {});
  };
  const endHistory = async (): Promise<void> => {
    history = false;
    for (const line of latest.take()) await show(line);
    if (!log && sinceMs !== undefined && oldestMs !== undefined && oldestMs > sinceMs)
      notice(`the agent remembers nothing before ${localTime(oldestMs)}; --log reads the audit log`);
  };

  const source = readEvents({
    agent,
    auditPath: loaded.config.audit.path,
    log,
    follow,
    sinceMs,
    stop: signal,
    onNotice(text) {
      // The log takes the agent's place: its lines may be of any day.
      style.date = true;
      notice(text);
    },
  });
  try {
    for await (const line of source) {
      if (line === NOW) {
        await endHistory();
        continue;
      }
      if (history) oldestMs ??= timeOfLine(line);
      if (!filter.takes(line)) continue;
      if (history && lines !== undefined) latest.add(line);
      else await show(line);
    }
    if (history) await endHistory();
    schema?.end();
  } finally {
    end();
  }
  return EXIT.ok;
}

function countOption(given: unknown): number | undefined {
  if (given === undefined || given === 'all') return undefined;
  if (/^\d{1,7}$/.test(String(given)) && Number(given) <= MOST_LINES) return Number(given);
  throw createError('ERR_USAGE', { reason: `--lines takes a number up to ${MOST_LINES}, or all` });
}
