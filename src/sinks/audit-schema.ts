/** Forms that others know in which a line of the audit log can be had. */
import { hostname } from 'node:os';
import type { AuditEvent } from './audit-event.js';

/** `native` is the line as it is. */
export const SCHEMA_NAMES = ['native', 'ocsf', 'ecs', 'otel'] as const;
export type SchemaName = (typeof SCHEMA_NAMES)[number];

/** One line of JSON out of one of the audit log; undefined for what is no event of the agent's (a checkpoint, half a line). */
export type LineMapper = (line: string) => string | undefined;

/** Loads it. `host`: the name of the host whose log it is. */
export async function openSchema(name: SchemaName, host = hostname()): Promise<LineMapper> {
  if (name === 'native') return (line) => line;
  const [{ parseAuditEvent }, { jsonText }, write] = await Promise.all([
    import('./audit-event.js'),
    import('./json-text.js'),
    loadWriter(name),
  ]);
  return (line) => {
    const event = parseAuditEvent(line, host);
    return event && jsonText(write(event));
  };
}

type Writer = (event: AuditEvent) => unknown;

async function loadWriter(name: Exclude<SchemaName, 'native'>): Promise<Writer> {
  if (name === 'ocsf') return (await import('./ocsf-event.js')).ocsfEvent;
  if (name === 'ecs') return (await import('./ecs-event.js')).ecsEvent;
  return (await import('./otlp-record.js')).otlpLine;
}
