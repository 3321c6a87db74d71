/** One event as one line for a person. */
import { USERNS_INITIAL } from '../devices/owners.js';
import type { Runtime } from '../identity/container.js';
import { localTime } from './clock-text.js';
import { type Colors, chooseColors } from './color.js';
import { containerWord } from './container-word.js';
import { hasFailed } from './event-filter.js';
import { type EventText, parseEvent } from './event-text.js';
import { plainText } from './plain-text.js';
import { cutEnd } from './text-width.js';

export interface EventStyle {
  colors?: Colors;
  /** The day, too, in local time: for what may be long ago. Without it the clock is that of the line, UTC. */
  date?: boolean;
  /** The terminal's; undefined: nothing is cut. */
  columns?: number | undefined;
}

const COLORLESS = chooseColors('never');

/** `line` is one line of the audit log; what is no JSON object is shown as it is. */
export function renderEvent(
  line: string,
  { colors = COLORLESS, date = false, columns }: EventStyle = {},
): string {
  const event = parseEvent(line);
  const text = cutEnd(plainText(event ? words(event, date) : line), columns ?? Number.POSITIVE_INFINITY);
  if (event === undefined) return text;
  if (event.kind === 'gap' || event.gap || hasFailed(event)) return colors.red(text);
  if (event.verdict === 'hide') return colors.yellow(text);
  return event.kind === 'agent' ? colors.bold(text) : text;
}

function words(event: EventText, date: boolean): string {
  if (event.kind === 'gap') return `${event.lost ?? 0} lines were not shown: this terminal is too slow`;
  const { caller, container } = event;
  const parts = [
    timeWord(event.time ?? '', date),
    (event.command ?? event.kind ?? '').padEnd(17),
    (event.device?.name ?? '-').padEnd(7),
    outcome(event).padEnd(7),
    caller ? who(caller) : '',
    container && !UNITS.has(container.runtime ?? '') ? containerWord(named(container)) : '',
    event.backing?.path ?? '',
  ];
  return parts
    .filter((part, at) => at < FIXED_PARTS || part !== '')
    .join(' ')
    .trimEnd();
}

/** Columns; what follows them takes no room where there is none of it. */
const FIXED_PARTS = 4;
/** No container: `host` or the user namespace says enough. */
const UNITS: ReadonlySet<string> = new Set(['systemd', 'host', 'unknown'] satisfies Runtime[]);

function timeWord(time: string, date: boolean): string {
  const atMs = date ? Date.parse(`${time.slice(0, 23)}Z`) : Number.NaN;
  return Number.isNaN(atMs) ? time.slice(11, 23) : `${localTime(atMs)}${time.slice(19, 23)}`;
}

function outcome({ result, verdict, rule, gap, aggregate }: EventText): string {
  if (gap) return `${gap.records ?? 0} records lost`;
  if (aggregate) return `${result ?? verdict ?? ''} × ${aggregate.count ?? '?'}`;
  return result ?? (verdict ? `${verdict} (${rule ?? 'no rule'})` : '');
}

function named({ runtime = '', id = '', name }: NonNullable<EventText['container']>) {
  return { runtime, id, ...(name !== undefined && { name }) };
}

export function who({ comm = '?', pid = 0, uid = 0, userns }: NonNullable<EventText['caller']>): string {
  const place =
    String(userns?.id) === String(USERNS_INITIAL) ? 'host' : `userns ${userns?.inum ?? 'unknown'}`;
  return `${comm}[${pid}] uid ${uid} ${place}`;
}
