/** The events that the page has: the newest few thousand, with the gaps between them. */
import type { EventLine } from '../page-views.js';
import type { Gap } from './connection.js';

export interface LoggedEvent {
  key: number;
  timeMs: number;
  line: EventLine;
  /** Lower case, for filters. */
  words: string;
}

export interface LoggedGap {
  key: number;
  timeMs: number;
  gap: Gap;
}

export type Logged = LoggedEvent | LoggedGap;

export interface EventLog {
  add(text: string): LoggedEvent | undefined;
  addGap(gap: Gap): void;
  /** Oldest first. */
  all(): readonly Logged[];
  /** Of one device, with the gaps in which there may have been more. */
  ofDevice(name: string): readonly Logged[];
}

export function isGap(logged: Logged): logged is LoggedGap {
  return 'gap' in logged;
}

const MOST = 5000;

export function createEventLog(): EventLog {
  let events: Logged[] = [];
  let nextKey = 0;
  const push = (logged: Logged): void => {
    events.push(logged);
    // A fifth at once: moving the rest costs as much for one.
    if (events.length > MOST * 1.2) events = events.slice(-MOST);
  };
  return {
    add(text) {
      const line = parse(text);
      if (line === undefined) return undefined;
      const timeMs = Date.parse(line.time ?? '');
      const logged = { key: nextKey++, timeMs, line, words: wordsOf(line) };
      push(logged);
      return logged;
    },
    addGap(gap) {
      push({ key: nextKey++, timeMs: Date.now(), gap });
    },
    all: () => events,
    ofDevice: (name) => {
      const own = events.filter((each) => isGap(each) || each.line.device?.name === name);
      // A gap before the first event of the device is a gap in nothing.
      const first = own.findIndex((each) => !isGap(each));
      return first === -1 ? [] : own.slice(first);
    },
  };
}

function parse(text: string): EventLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as EventLine) : undefined;
  } catch {
    return undefined;
  }
}

function wordsOf({
  kind,
  command,
  device,
  result,
  caller,
  container,
  backing,
  verdict,
  rule,
}: EventLine): string {
  const { runtime = '', name = '', id = '' } = container ?? {};
  const process = `${caller?.comm ?? ''}[${caller?.pid ?? ''}]`;
  return [
    kind,
    command,
    device?.name,
    result,
    process,
    `${runtime}/${name}`,
    id,
    backing?.path,
    verdict,
    rule,
    caller?.userns?.inum,
  ]
    .join(' ')
    .slice(0, 2000)
    .toLowerCase();
}

/** What a gap says. */
export function gapWords({ lost, reason }: Gap): string {
  const many =
    lost === null ? 'Some events' : `${lost.toLocaleString('en')} ${lost === 1 ? 'event' : 'events'}`;
  const why: Record<string, string> = {
    too_many: 'came faster than a page can show',
    slow_client: 'did not fit through this connection',
    too_old: 'happened while the page was away and are no longer kept',
    restart: 'may be missing: the agent was started anew',
  };
  return `${many} ${why[reason] ?? 'are missing'}. The audit log has them all.`;
}
