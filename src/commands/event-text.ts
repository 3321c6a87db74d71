/** A line of the audit log, as far as the commands read it. Whoever wrote the file may have put anything there. */

export interface EventText {
  seq?: number;
  time?: string;
  boot_ns?: number | string;
  kind?: string;
  command?: string;
  device?: { name?: string; diskseq?: number | string };
  result?: string;
  duration_ns?: number;
  caller?: {
    pid?: number;
    comm?: string;
    uid?: number;
    userns?: { id?: number | string; inum?: number; level?: number };
  };
  container?: { runtime?: string; id?: string; name?: string; pod?: string };
  backing?: { path?: string };
  config?: { offset?: number | string; sizelimit?: number | string; flags?: string[]; block_size?: number };
  owner?: { before?: number | string; after?: number | string };
  verdict?: string;
  rule?: string;
  gap?: { records?: number };
  /** Events that were counted instead of recorded. */
  aggregate?: { of?: string; count?: number | string; devices?: string };
  /** Of the stream itself: lines that it left out. */
  lost?: number;
}

/** Undefined for what is no JSON object. Parts of another type than theirs are left out. */
export function parseEvent(line: string): EventText | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return clean(value as Record<string, unknown>, SHAPE) as EventText;
  } catch {
    return undefined;
  }
}

/** Milliseconds since 1970; undefined where the line has no time. Without parsing the whole line. */
export function timeOfLine(line: string): number | undefined {
  const at = line.indexOf('"time":"');
  if (at === -1) return undefined;
  // Nanoseconds are more than Date takes.
  const ms = Date.parse(`${line.slice(at + 8, at + 31)}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

type Shape = 'string' | 'number' | 'word' | 'strings' | { [name: string]: Shape };

const USERNS = { id: 'word', inum: 'number', level: 'number' } as const;
const SHAPE: { [name: string]: Shape } = {
  seq: 'number',
  time: 'string',
  boot_ns: 'word',
  kind: 'string',
  command: 'string',
  device: { name: 'string', diskseq: 'word' },
  result: 'string',
  duration_ns: 'number',
  caller: { pid: 'number', comm: 'string', uid: 'number', userns: USERNS },
  container: { runtime: 'string', id: 'string', name: 'string', pod: 'string' },
  backing: { path: 'string' },
  config: { offset: 'word', sizelimit: 'word', flags: 'strings', block_size: 'number' },
  owner: { before: 'word', after: 'word' },
  verdict: 'string',
  rule: 'string',
  gap: { records: 'number' },
  aggregate: { of: 'string', count: 'word', devices: 'string' },
  lost: 'number',
};

function clean(value: Record<string, unknown>, shape: { [name: string]: Shape }): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, wanted] of Object.entries(shape)) {
    const part = Object.hasOwn(value, name) ? value[name] : undefined;
    if (part === undefined || part === null) continue;
    if (typeof wanted === 'object') {
      if (typeof part === 'object') kept[name] = clean(part as Record<string, unknown>, wanted);
    } else if (fits(part, wanted)) kept[name] = part;
  }
  return kept;
}

function fits(part: unknown, wanted: Exclude<Shape, object>): boolean {
  if (wanted === 'strings') return Array.isArray(part) && part.every((each) => typeof each === 'string');
  if (wanted === 'word') return typeof part === 'string' || typeof part === 'number';
  return typeof part === wanted;
}
