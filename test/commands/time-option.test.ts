import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseTime } from '../../src/commands/time-option.js';

const NOW = new Date(2026, 10, 25, 4, 40, 20, 500);
const parse = (text: string): number | undefined => parseTime('--since', text, NOW);

test('takes spans before now, days by the calendar, clocks and dates of here, and points with a zone', () => {
  const before = {
    '90s': 90,
    '10m': 600,
    '10 min ago': 600,
    '2h': 7200,
    '-1d': 86_400,
    '1w': 604_800,
    '0s': 0,
  };
  for (const [text, seconds] of Object.entries(before))
    assert.equal(parse(text), NOW.getTime() - seconds * 1000, text);
  const points: Record<string, Date> = {
    now: NOW,
    today: new Date(2026, 10, 25),
    yesterday: new Date(2026, 10, 24),
    '04:40': new Date(2026, 10, 25, 4, 40),
    '04:40:59': new Date(2026, 10, 25, 4, 40, 59),
    '2026-02-28': new Date(2026, 1, 28),
    '2026-02-28 23:59': new Date(2026, 1, 28, 23, 59),
    '2026-02-28T23:59:58': new Date(2026, 1, 28, 23, 59, 58),
    '2026-02-28T23:59:58.5Z': new Date(Date.UTC(2026, 1, 28, 23, 59, 58, 500)),
    '2026-02-28 23:59+02:00': new Date(Date.UTC(2026, 1, 28, 21, 59)),
    '@86400': new Date(86_400_000),
  };
  for (const [text, at] of Object.entries(points)) assert.equal(parse(text), at.getTime(), text);
  assert.equal(parseTime('--since', undefined), undefined);
});

test('refuses what is no time, and names the option', () => {
  for (const text of [
    '',
    'soon',
    '10',
    '10x',
    '2026-02-31',
    '2026-13-01',
    '25:00',
    '04:60',
    '2026-02-28T24:30',
    '@',
    '@x',
    '10constructor',
    '2026-02-30T00:00Z9',
  ])
    assert.throws(() => parse(text), { code: 'ERR_USAGE', message: /^--since takes / }, text);
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        assert.ok(Number.isFinite(parse(text)));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'ERR_USAGE');
      }
    }),
  );
});
