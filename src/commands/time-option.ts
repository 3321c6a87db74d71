/** `--since` and `--until`: points in time as journalctl takes them. */
import { createError } from '../errors.js';

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  sec: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

const DAY = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?)?$/;
const CLOCK = /^(\d\d):(\d\d)(?::(\d\d))?$/;

/**
 * Milliseconds since 1970, or undefined without an option. `10m` and `10m ago` are before now; `2026-11-25`,
 * `2026-11-25 04:40`, `04:40`, `today` and `yesterday` are local; RFC 3339 with its zone and `@SECONDS` are not.
 * @throws ERR_USAGE
 */
export function parseTime(flag: string, given: unknown, now = new Date()): number | undefined {
  if (given === undefined) return undefined;
  const text = String(given).trim();
  const ms = relative(text, now) ?? named(text, now) ?? local(text, now) ?? zoned(text);
  if (ms !== undefined && !Number.isNaN(ms)) return ms;
  throw createError('ERR_USAGE', {
    reason: `${flag} takes 10m, 2h, 1d, today, 04:40, 2026-11-25 04:40 or RFC 3339, not "${text.slice(0, 80)}"`,
  });
}

function relative(text: string, now: Date): number | undefined {
  const [, count, unit = ''] = /^-?(\d{1,9})\s*([a-z]+)(?:\s+ago)?$/.exec(text) ?? [];
  const unitMs = Object.hasOwn(UNIT_MS, unit) ? UNIT_MS[unit] : undefined;
  return unitMs === undefined ? undefined : now.getTime() - Number(count) * unitMs;
}

function named(text: string, now: Date): number | undefined {
  if (text === 'now') return now.getTime();
  const daysAgo = ['today', 'yesterday'].indexOf(text);
  // By the calendar: a day may have 23 hours.
  return daysAgo === -1
    ? undefined
    : new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo).getTime();
}

function local(text: string, now: Date): number | undefined {
  const clock = CLOCK.exec(text);
  if (clock) {
    const [hour = 0, minute = 0, second = 0] = clock.slice(1).map((each) => Number(each ?? 0));
    return checked(now.getFullYear(), now.getMonth() + 1, now.getDate(), hour, minute, second);
  }
  const day = DAY.exec(text);
  if (!day) return undefined;
  const [year = 0, month = 0, date = 0, hour = 0, minute = 0, second = 0] = day
    .slice(1)
    .map((each) => Number(each ?? 0));
  return checked(year, month, date, hour, minute, second);
}

/** Date would take the 31st of February for the 3rd of March. */
function checked(
  year: number,
  month: number,
  date: number,
  hour: number,
  minute: number,
  second: number,
): number {
  const at = new Date(year, month - 1, date, hour, minute, second);
  const fits =
    at.getMonth() === month - 1 && at.getDate() === date && hour < 24 && minute < 60 && second < 60;
  return fits ? at.getTime() : Number.NaN;
}

function zoned(text: string): number | undefined {
  if (/^@\d{1,12}$/.test(text)) return Number(text.slice(1)) * 1000;
  return /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text.replace(' ', 'T'))
    : undefined;
}
