/** A line of the audit log as a log record of OTLP in JSON (opentelemetry-proto logs/v1). */
import { hostname } from 'node:os';
import { VERSION } from '../version.js';

export interface OtlpAttribute {
  key: string;
  value: OtlpValue;
}

/** 64-bit integers are strings in JSON. */
export type OtlpValue =
  | { stringValue: string }
  | { intValue: string }
  | { boolValue: boolean }
  | { arrayValue: { values: OtlpValue[] } };

export interface OtlpLogRecord {
  timeUnixNano: string;
  observedTimeUnixNano: string;
  severityNumber: number;
  severityText: string;
  eventName: string;
  body: OtlpValue;
  attributes: OtlpAttribute[];
}

const SEVERITY = { info: 9, warn: 13 } as const;
/** Fields that OpenTelemetry has a name for; the others are `loopwarden.` and their path. */
const SEMANTIC_NAMES: ReadonlyMap<string, string> = new Map([
  ['caller.pid', 'process.pid'],
  ['caller.comm', 'process.executable.name'],
  ['container.id', 'container.id'],
  ['container.name', 'container.name'],
  ['container.runtime', 'container.runtime.name'],
  ['container.pod', 'k8s.pod.uid'],
  ['backing.path', 'file.path'],
  ['seq', 'log.record.uid'],
]);
const TIMES: ReadonlySet<string> = new Set(['time', 'kind']);

/** The body is the line itself, so nothing of it is lost. `observedMs`: when it is sent, of the wall clock. */
export function otlpLogRecord(line: string, observedMs: number): OtlpLogRecord {
  const fields = JSON.parse(line) as Record<string, unknown>;
  const { time, kind, result } = fields;
  const failed = result !== undefined && result !== 'ok';
  const attributes: OtlpAttribute[] = [];
  flatten(fields, '', attributes);
  return {
    timeUnixNano: unixNano(String(time)),
    observedTimeUnixNano: `${BigInt(Math.round(observedMs)) * 1_000_000n}`,
    severityNumber: failed ? SEVERITY.warn : SEVERITY.info,
    severityText: failed ? 'WARN' : 'INFO',
    eventName: `loopwarden.${String(kind)}`,
    body: { stringValue: line },
    attributes,
  };
}

/** The body of a request to `/v1/logs`. */
export function otlpRequest(records: readonly OtlpLogRecord[]): unknown {
  const attributes: OtlpAttribute[] = [
    { key: 'service.name', value: { stringValue: 'loopwarden' } },
    { key: 'service.version', value: { stringValue: VERSION } },
    { key: 'host.name', value: { stringValue: hostname() } },
  ];
  const scope = { name: 'loopwarden.audit', version: VERSION };
  return { resourceLogs: [{ resource: { attributes }, scopeLogs: [{ scope, logRecords: records }] }] };
}

function flatten(fields: Record<string, unknown>, above: string, into: OtlpAttribute[]): void {
  for (const [name, value] of Object.entries(fields)) {
    const path = above === '' ? name : `${above}.${name}`;
    if (TIMES.has(path)) continue;
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      flatten(value as Record<string, unknown>, path, into);
    else into.push({ key: SEMANTIC_NAMES.get(path) ?? `loopwarden.${path}`, value: otlpValue(path, value) });
  }
}

function otlpValue(path: string, value: unknown): OtlpValue {
  if (Array.isArray(value)) return { arrayValue: { values: value.map((item) => otlpValue(path, item)) } };
  if (typeof value === 'boolean') return { boolValue: value };
  // By its convention a string.
  if (typeof value === 'number' && path !== 'seq') return { intValue: String(value) };
  return { stringValue: String(value) };
}

/** RFC 3339 with nine digits to nanoseconds since 1970; `0` is OTLP's word for unknown. */
function unixNano(time: string): string {
  const match = /^(\S+)\.(\d{9})Z$/.exec(time);
  const seconds = match === null ? Number.NaN : Date.parse(`${match[1]}Z`) / 1000;
  return Number.isNaN(seconds) ? '0' : `${BigInt(seconds) * 1_000_000_000n + BigInt(match?.[2] ?? 0)}`;
}
