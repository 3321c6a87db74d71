/** A line of the audit log with all that a record of another schema is made of. */
import { LINE_KINDS, type LineKind } from './audit-record.js';
import { type LineFields, lineUid, parseLine } from './line-fields.js';
import { type LineTime, timeOf } from './line-time.js';

export interface AuditEvent {
  line: string;
  fields: LineFields;
  kind: LineKind;
  time: LineTime;
  /** Names the line among those of all hosts. */
  uid: string;
  host: string;
}

/** Undefined for what is none: a checkpoint, a line that somebody else has written, half a line. */
export function parseAuditEvent(line: string, host: string): AuditEvent | undefined {
  const fields = parseLine(line);
  const time = fields && timeOf(fields);
  const kind = LINE_KINDS.find((each) => each === fields?.kind);
  if (fields === undefined || time === undefined || kind === undefined) return undefined;
  return { line, fields, kind, time, uid: lineUid(line, host), host };
}
