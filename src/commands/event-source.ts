/** Where events are read from: the agent's memory, the audit log's files, and what happens from now on. */
import { createError, LoopwardenError } from '../errors.js';
import { type AuditFiles, openAuditFiles } from '../sinks/audit-files.js';
import type { ControlClient } from '../web/control-client.js';
import { parseEvent } from './event-text.js';

export interface EventSourceOptions {
  agent: ControlClient;
  auditPath: string;
  /** From the log, also where the agent answers. */
  log: boolean;
  follow: boolean;
  sinceMs: number | undefined;
  stop: AbortSignal;
  /** Told to the person, beside the events. */
  onNotice(text: string): void;
}

/** Between what was and what is new. */
export const NOW = Symbol('now');

const ALL = 100_000;

/**
 * Lines, oldest first; with `follow` NOW, and then each as it comes, until `stop`. Where no agent answers the log takes
 * its place. @throws ERR_AGENT_NOT_RUNNING, ERR_NO_AUDIT_LOG
 */
export async function* readEvents(
  options: EventSourceOptions,
): AsyncGenerator<string | typeof NOW, void, undefined> {
  if (options.log) {
    yield* options.follow ? logThenNew(options) : logLines(await openLog(options), options);
    return;
  }
  const { agent, follow, stop } = options;
  let begun = false;
  try {
    const query = follow ? `limit=${ALL}&follow=1&mark=1` : `limit=${ALL}`;
    for await (const line of agent.stream(`/api/v1/events?${query}`, stop)) {
      begun = true;
      yield isMark(line) ? NOW : line;
    }
  } catch (error) {
    if (begun || follow || !isAbsence(error)) throw error;
    const files = await openLog(options).catch(() => {
      throw error;
    });
    options.onNotice(`no agent answers: read from ${options.auditPath}`);
    yield* logLines(files, options);
  }
}

function openLog({ auditPath }: EventSourceOptions): Promise<AuditFiles> {
  if (auditPath === '-')
    throw createError('ERR_NO_AUDIT_LOG', { path: auditPath, reason: 'the agent writes it to stdout' });
  return openAuditFiles(auditPath);
}

async function* logLines(
  files: AuditFiles,
  { sinceMs, stop, onNotice }: EventSourceOptions,
): AsyncGenerator<string, void, undefined> {
  try {
    for await (const line of files.lines(sinceMs)) {
      if (stop.aborted) return;
      yield line;
    }
    for (const problem of files.problems()) onNotice(problem);
  } finally {
    await files.close();
  }
}

/** What comes while the log is read waits in the stream; lines that are in both are told once. */
async function* logThenNew(
  options: EventSourceOptions,
): AsyncGenerator<string | typeof NOW, void, undefined> {
  const stream = options.agent.stream('/api/v1/events?limit=0&follow=1&mark=1', options.stop);
  try {
    await stream.next();
    let last = '';
    for await (const line of logLines(await openLog(options), options)) {
      last = line;
      yield line;
    }
    yield NOW;
    const told = parseEvent(last)?.seq ?? 0;
    let caughtUp = false;
    for await (const line of stream) {
      // Only lines of the log are numbered; the first one that is new ends the comparing.
      const seq: number | undefined = caughtUp ? undefined : parseEvent(line)?.seq;
      if (seq !== undefined && seq <= told) continue;
      caughtUp ||= seq !== undefined;
      yield line;
    }
  } finally {
    await stream.return();
  }
}

export function isAbsence(error: unknown): boolean {
  return error instanceof LoopwardenError && error.code === 'ERR_AGENT_NOT_RUNNING';
}

function isMark(line: string): boolean {
  return line === '{"kind":"mark"}';
}
