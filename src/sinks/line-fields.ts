/** A line of the audit log as an object again: for what is made of it for others. */
import { createHash } from 'node:crypto';
import { parseShaped, type Shaped } from './json-shape.js';

const USERNS = { id: 'count', inum: 'integer', level: 'integer', owner_uid: 'integer' } as const;
/** All fields of docs/audit-log.md. */
const LINE = {
  seq: 'count',
  time: 'text',
  boot_ns: 'count',
  kind: 'text',
  command: 'text',
  arch: 'text',
  device: { name: 'text', devno: 'text', diskseq: 'count' },
  result: 'text',
  duration_ns: 'count',
  caller: {
    pid: 'integer',
    tid: 'integer',
    start_boot_ns: 'count',
    comm: 'text',
    uid: 'integer',
    gid: 'integer',
    userns: USERNS,
    pidns: 'integer',
    mntns: 'integer',
    netns: 'integer',
    cgroup_id: 'count',
  },
  opener: { uid: 'integer', userns: 'count' },
  container: {
    runtime: 'text',
    id: 'text',
    name: 'text',
    pod: 'text',
    source: 'text',
    confidence: 'text',
  },
  backing: { dev: 'text', inode: 'count', path: 'text' },
  config: { offset: 'count', sizelimit: 'count', flags: 'texts', block_size: 'integer' },
  owner: { before: 'count', after: 'count' },
  verdict: 'text',
  rule: 'text',
  gap: { records: 'integer', from_boot_ns: 'count', to_boot_ns: 'count' },
  aggregate: { of: 'text', count: 'count', first_boot_ns: 'count', last_boot_ns: 'count', devices: 'text' },
  quarantine: { map: 'text', fault: 'text', pin: 'text', kept: 'integer', lost: 'integer' },
} as const;

export type LineFields = Shaped<typeof LINE>;

/** What is not as the agent writes it is left out; undefined for what is no JSON object. */
export function parseLine(line: string): LineFields | undefined {
  return parseShaped(line, LINE);
}

/** Names a line, the same wherever it is made anew: no two hosts write the same bytes. 32 hex digits. */
export function lineUid(line: string, host: string): string {
  return createHash('sha256').update(`${host}\n${line}`).digest('hex').slice(0, 32);
}

export interface Leaf {
  /** Names from the top: `caller`, `userns`, `id`. */
  path: readonly string[];
  value: string | number | string[];
}

/** Every value that is no object, in the order of the line. */
export function leavesOf(fields: LineFields): Leaf[] {
  const leaves: Leaf[] = [];
  collect(fields, [], leaves);
  return leaves;
}

function collect(fields: object, above: readonly string[], into: Leaf[]): void {
  for (const [name, value] of Object.entries(fields) as [string, Leaf['value'] | object][]) {
    const path = [...above, name];
    if (typeof value === 'object' && !Array.isArray(value)) collect(value, path, into);
    else into.push({ path, value });
  }
}

/** The fields without those at these paths (`caller.pid`), and without objects that are then empty. */
export function fieldsWithout(fields: LineFields, paths: ReadonlySet<string>): Record<string, unknown> {
  const rest: Record<string, unknown> = {};
  for (const { path, value } of leavesOf(fields)) {
    if (paths.has(path.join('.'))) continue;
    let at = rest;
    for (const name of path.slice(0, -1)) {
      at[name] ??= {};
      at = at[name] as Record<string, unknown>;
    }
    at[path.at(-1) ?? ''] = value;
  }
  return rest;
}

/** An ioctl that ended in an errno. */
export function isFailed({ result }: LineFields): boolean {
  return result !== undefined && result !== 'ok';
}
