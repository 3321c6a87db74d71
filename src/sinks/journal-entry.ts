/**
 * A line of the audit log as an entry of the journal, in systemd's native protocol
 * (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): `NAME=value` lines, and values with a line break in them by their length, so
 * that no text of a container's becomes a field of its own.
 */
import { isFailed, type Leaf, type LineFields, leavesOf } from './line-fields.js';
import { lineWords } from './line-words.js';

/** As in syslog. */
const PRIORITY = { warning: '4', info: '6' } as const;
/** The protocol's longest. */
const NAME = /^[A-Z][A-Z0-9_]{0,63}$/;
const LINE_BREAK = Buffer.from('\n');

/** `text`: the line itself, or what was made of it. A list becomes a field for each. */
export function journalEntry(fields: LineFields, text: string): Buffer {
  const parts: Buffer[] = [];
  add(parts, 'MESSAGE', lineWords(fields));
  add(parts, 'PRIORITY', isFailed(fields) ? PRIORITY.warning : PRIORITY.info);
  add(parts, 'SYSLOG_IDENTIFIER', 'loopwarden');
  add(parts, 'LOOPWARDEN_LINE', text);
  for (const leaf of leavesOf(fields)) addLeaf(parts, leaf);
  return Buffer.concat(parts);
}

function addLeaf(parts: Buffer[], { path, value }: Leaf): void {
  const name = `LOOPWARDEN_${path.join('_').toUpperCase()}`;
  for (const each of Array.isArray(value) ? value : [value]) add(parts, name, String(each));
}

function add(parts: Buffer[], name: string, value: string): void {
  if (!NAME.test(name)) return;
  const bytes = Buffer.from(value);
  if (!bytes.includes(LINE_BREAK)) {
    parts.push(Buffer.from(`${name}=`), bytes, LINE_BREAK);
    return;
  }
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  parts.push(Buffer.from(`${name}\n`), length, bytes, LINE_BREAK);
}
