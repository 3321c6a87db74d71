/**
 * A line of the audit log as a log record of OTLP in JSON (opentelemetry-proto logs/v1), its fields by OpenTelemetry's semantic
 * conventions where they have a name for them.
 */
import { VERSION } from '../version.js';
import type { AuditEvent } from './audit-event.js';
import { isFailed, type Leaf, leavesOf, lineUid, parseLine } from './line-fields.js';
import { timeOf } from './line-time.js';

export interface OtlpAttribute {
  key: string;
  value: OtlpValue;
}

/** 64-bit integers are strings in JSON. */
export type OtlpValue =
  | { stringValue: string }
  | { intValue: string }
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

/** Of the semantic conventions; told to the receiver, which can translate from one to another. */
export const SEMANTIC_CONVENTIONS_VERSION = '1.44.0';
const SCHEMA_URL = `https://opentelemetry.io/schemas/${SEMANTIC_CONVENTIONS_VERSION}`;
const SEVERITY = { info: 9, warn: 13 } as const;
/** Fields that OpenTelemetry has a name for; the others are `loopwarden.` and their path. */
const SEMANTIC_NAMES: ReadonlyMap<string, string> = new Map([
  ['caller.pid', 'process.pid'],
  ['caller.tid', 'thread.id'],
  // Which the process may choose: it is not the name of its executable.
  ['caller.comm', 'thread.name'],
  ['caller.uid', 'process.user.id'],
  ['container.id', 'container.id'],
  ['container.name', 'container.name'],
  ['container.runtime', 'container.runtime.name'],
  ['container.pod', 'k8s.pod.uid'],
  ['backing.path', 'file.path'],
  ['backing.inode', 'file.inode'],
]);
/** Strings by their convention. */
const TEXTS: ReadonlySet<string> = new Set(['file.inode']);
/** What the record itself says. */
const OF_RECORD: ReadonlySet<string> = new Set(['time', 'kind']);

/** The body is the line itself, so nothing of it is lost. `observedMs`: when it is sent, of the wall clock. */
export function otlpLogRecord(line: string, observedMs: number, host: string): OtlpLogRecord {
  const fields = parseLine(line) ?? {};
  const failed = isFailed(fields);
  const attributes = leavesOf(fields).flatMap(attributeOf);
  if (failed) attributes.push({ key: 'error.type', value: { stringValue: fields.result ?? '' } });
  attributes.push({ key: 'log.record.uid', value: { stringValue: lineUid(line, host) } });
  return {
    // `0` is OTLP's word for unknown.
    timeUnixNano: String(timeOf(fields)?.ns ?? 0),
    observedTimeUnixNano: `${BigInt(Math.round(observedMs)) * 1_000_000n}`,
    severityNumber: failed ? SEVERITY.warn : SEVERITY.info,
    severityText: failed ? 'WARN' : 'INFO',
    eventName: `loopwarden.${fields.kind ?? 'unknown'}`,
    body: { stringValue: line },
    attributes,
  };
}

/** The body of a request to `/v1/logs`, and a line of the protocol's file format. */
export function otlpRequest(records: readonly OtlpLogRecord[], host: string): unknown {
  const attributes: OtlpAttribute[] = [
    { key: 'service.name', value: { stringValue: 'loopwarden' } },
    { key: 'service.version', value: { stringValue: VERSION } },
    { key: 'host.name', value: { stringValue: host } },
  ];
  const scope = { name: 'loopwarden.audit', version: VERSION };
  const scopeLogs = [{ scope, logRecords: records, schemaUrl: SCHEMA_URL }];
  return { resourceLogs: [{ resource: { attributes }, scopeLogs, schemaUrl: SCHEMA_URL }] };
}

function attributeOf({ path, value }: Leaf): OtlpAttribute[] {
  const name = path.join('.');
  if (OF_RECORD.has(name)) return [];
  const key = SEMANTIC_NAMES.get(name) ?? `loopwarden.${name}`;
  return [{ key, value: otlpValue(key, value) }];
}

function otlpValue(key: string, value: Leaf['value']): OtlpValue {
  if (Array.isArray(value)) return { arrayValue: { values: value.map((item) => ({ stringValue: item })) } };
  if (typeof value === 'number' && !TEXTS.has(key)) return { intValue: String(value) };
  return { stringValue: String(value) };
}

/** One record as a line of the protocol's file format, as collectors read it from files. */
export function otlpLine({ line, host, time }: AuditEvent): unknown {
  return otlpRequest([otlpLogRecord(line, time.ms, host)], host);
}
