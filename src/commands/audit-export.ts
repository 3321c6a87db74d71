/** What `loopwarden audit export` does. */
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createError, EXIT, type ExitCode } from '../errors.js';
import { openAuditFiles } from '../sinks/audit-files.js';
import type { CommandContext } from './command.js';
import { timeOfLine } from './event-text.js';
import { awaitInterruption } from './interruption.js';
import { notice } from './notice.js';
import { openSchemaOption } from './schema-option.js';
import { parseTime } from './time-option.js';

export async function exportLog({ loaded, args, options, print }: CommandContext): Promise<ExitCode> {
  const [given = loaded.config.audit.path] = args;
  if (given === '-')
    throw createError('ERR_NO_AUDIT_LOG', { path: given, reason: 'the agent writes it to stdout' });
  const sinceMs = parseTime('--since', options.since);
  const untilMs = parseTime('--until', options.until);
  const host = typeof options.host === 'string' ? options.host : undefined;
  const schema = await openSchemaOption(options.schema ?? 'native', host);
  const files = await openAuditFiles(resolve(given));
  const { signal, end } = awaitInterruption();
  try {
    for await (const line of files.lines(sinceMs)) {
      if (signal.aborted) break;
      const atMs = timeOfLine(line);
      if (atMs !== undefined && (atMs < (sinceMs ?? atMs) || atMs > (untilMs ?? atMs))) continue;
      const text = schema?.map(line);
      if (text !== undefined) print(text);
      if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain', { signal }).catch(() => {});
    }
    schema?.end();
    for (const problem of files.problems()) notice(problem);
  } finally {
    end();
    await files.close();
  }
  return EXIT.ok;
}
