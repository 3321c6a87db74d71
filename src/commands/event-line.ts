/** One event as one line for a person. */
import { USERNS_INITIAL } from '../devices/owners.js';
import { containerWord } from './container-word.js';
import { table } from './table.js';

interface EventLine {
  time?: string;
  kind?: string;
  command?: string;
  device?: { name: string; diskseq?: number | string };
  result?: string;
  caller?: { pid: number; comm: string; uid: number; userns: { id: number | string; inum: number } };
  container?: { runtime: string; id: string; name?: string };
  backing?: { path?: string };
  verdict?: string;
  rule?: string;
  lost?: number;
}

/** `line` is one line of the audit log; what is no JSON object is shown as it is. */
export function renderEvent(line: string): string {
  const event = parse(line);
  if (event === undefined) return table([[line]]);
  if (event.kind === 'gap') return `${event.lost} lines were not shown: this terminal is too slow`;
  const { caller, container } = event;
  const parts = [
    (event.time ?? '').slice(11, 23),
    (event.command ?? event.kind ?? '').padEnd(17),
    (event.device?.name ?? '-').padEnd(7),
    outcome(event).padEnd(7),
    caller ? who(caller) : '',
    container && !UNITS.has(container.runtime) ? containerWord(container) : '',
    event.backing?.path ?? '',
  ];
  return table([
    [
      parts
        .filter((part, at) => at < FIXED_PARTS || part !== '')
        .join(' ')
        .trimEnd(),
    ],
  ]);
}

/** Columns; what follows them takes no room where there is none of it. */
const FIXED_PARTS = 4;
/** No container: `host` or the user namespace says enough. */
const UNITS: ReadonlySet<string> = new Set(['systemd', 'host', 'unknown']);

function outcome({ result, verdict, rule }: EventLine): string {
  return result ?? (verdict ? `${verdict} (${rule})` : '');
}

function who({ comm, pid, uid, userns }: NonNullable<EventLine['caller']>): string {
  const place = String(userns.id) === String(USERNS_INITIAL) ? 'host' : `userns ${userns.inum}`;
  return `${comm}[${pid}] uid ${uid} ${place}`;
}

function parse(line: string): EventLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
