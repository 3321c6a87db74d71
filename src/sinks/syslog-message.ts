/**
 * A line of the audit log as a syslog message. Over a network by RFC 5424; to the local socket as the C library's syslog(3)
 * writes it, which is what journald, rsyslog and busybox read there: RFC 5424's header would be a part of the text to them.
 *
 * The text is JSON in ASCII, other characters escaped: what is not has to begin with a byte order mark (RFC 5424, 6.4), which
 * readers of JSON do not expect.
 */
import { VERSION } from '../version.js';
import { isFailed, type LineFields } from './line-fields.js';
import { timeOf } from './line-time.js';

/** authpriv: who may read it is as with sudo's messages. */
const FACILITY = 10;
const SEVERITY = { warning: 4, info: 6 } as const;
const NAME = 'loopwarden';
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** The largest sequenceId; the next is 1. */
const LAST_SEQUENCE_ID = 2 ** 31 - 1;

export interface SyslogOptions {
  host: string;
  pid: number;
  /** Counts the messages from 1. */
  count: number;
}

/** RFC 5424. A receiver sees by the sequenceId what was left out on the way. */
export function networkMessage(
  fields: LineFields,
  text: string,
  { host, pid, count }: SyslogOptions,
): string {
  const { time = '' } = fields;
  // A microsecond is its finest; `-` is its word for unknown.
  const stamp = timeOf(fields) ? `${time.slice(0, -4)}Z` : '-';
  const id = ((count - 1) % LAST_SEQUENCE_ID) + 1;
  const data = `[meta sequenceId="${id}"][origin software="${NAME}" swVersion="${VERSION}"]`;
  return `<${priorityOf(fields)}>1 ${stamp} ${word(host, 255)} ${NAME} ${pid} ${word(fields.kind, 32)} ${data} ${ascii(text)}`;
}

/** `<84>Nov 25 13:20:11 loopwarden[321]: …`, in local time. */
export function localMessage(fields: LineFields, text: string, { pid }: Pick<SyslogOptions, 'pid'>): string {
  const at = new Date(timeOf(fields)?.ms ?? Date.now());
  const day = String(at.getDate()).padStart(2);
  return `<${priorityOf(fields)}>${MONTHS[at.getMonth()]} ${day} ${at.toTimeString().slice(0, 8)} ${NAME}[${pid}]: ${ascii(text)}`;
}

function priorityOf(fields: LineFields): number {
  return FACILITY * 8 + (isFailed(fields) ? SEVERITY.warning : SEVERITY.info);
}

/** Printable ASCII without blanks; `-` where there is none. */
function word(text = '', limit: number): string {
  return text.replace(/[^!-~]/g, '').slice(0, limit) || '-';
}

function ascii(json: string): string {
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
