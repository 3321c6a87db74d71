import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditLog } from '../../src/sinks/audit-log.js';
import { AUDIT_KINDS, type AuditKind } from '../../src/sinks/audit-record.js';
import { createAuditTrail, isUrgent } from '../../src/sinks/audit-trail.js';
import { createEventFeed } from '../../src/sinks/event-feed.js';

const SECOND = 1_000_000_000n;
const WALL = 1_700_000_000n * SECOND;

function createTrail(kinds: readonly AuditKind[], capacity = 100) {
  const lines: string[] = [];
  const clock = { offsetNs: WALL, nowNs: 100n * SECOND, reads: 0 };
  const feed = createEventFeed(capacity);
  const log: AuditLog = {
    write: (line) => void lines.push(line),
    flush: async () => {},
    close: async () => {},
    reopen: async () => {},
    stats: () => ({ linesWritten: lines.length, linesLost: 0, bytes: 0, failing: false }),
  };
  const readClocks = () => {
    clock.reads++;
    return { bootNs: clock.nowNs, wallNs: clock.nowNs + clock.offsetNs };
  };
  const trail = createAuditTrail({ log, feed, kinds, maxLineBytes: 8192, readClocks });
  const logged = () => lines.map((line) => JSON.parse(line));
  const fed = () => feed.recent(1000).map((line) => JSON.parse(line));
  return { trail, feed, clock, logged, fed };
}

test('numbers the lines of the log from 1 without a hole, and no others', () => {
  const { trail, logged, fed } = createTrail(['ioctl', 'agent']);
  const kinds = [...AUDIT_KINDS, ...AUDIT_KINDS, ...AUDIT_KINDS];
  for (const kind of kinds) trail.record({ bootNs: 100n * SECOND, kind });
  assert.deepEqual(
    logged().map(({ seq, kind }) => [seq, kind]),
    [1, 2, 3, 4, 5, 6].map((seq) => [seq, seq % 2 === 1 ? 'ioctl' : 'agent']),
  );
  assert.deepEqual(
    fed().map(({ kind }) => kind),
    kinds,
  );
  for (const line of fed()) assert.equal('seq' in line, line.kind === 'ioctl' || line.kind === 'agent');
});

test('the log and the feed get the same line', () => {
  const { trail, logged, fed } = createTrail(['ioctl']);
  trail.record({ bootNs: 100n * SECOND, kind: 'ioctl', command: 'LOOP_CLR_FD', result: 'ok' });
  assert.deepEqual(logged(), fed());
});

test('what nobody reads is not even written', () => {
  const { trail, feed, clock, logged } = createTrail([], 0);
  trail.record({ bootNs: 100n * SECOND, kind: 'ioctl' });
  assert.deepEqual([clock.reads, logged().length], [0, 0]);
  const heard: string[] = [];
  const end = feed.subscribe((line) => heard.push(line));
  trail.record({ bootNs: 100n * SECOND, kind: 'ioctl' });
  end();
  trail.record({ bootNs: 100n * SECOND, kind: 'ioctl' });
  assert.equal(heard.length, 1);
});

test('the time of a line is that of its event, by the wall clock', () => {
  const { trail, logged } = createTrail(['ioctl']);
  trail.record({ bootNs: 100n * SECOND + 123n, kind: 'ioctl' });
  trail.record({ bootNs: 100n * SECOND + 456n, kind: 'ioctl' });
  assert.deepEqual(
    logged().map(({ time, boot_ns }) => [time, boot_ns]),
    [
      ['2023-11-14T22:15:00.000000123Z', 100_000_000_123],
      ['2023-11-14T22:15:00.000000456Z', 100_000_000_456],
    ],
  );
});

test('a wall clock that was set is noticed within a second, and asked for no more often', () => {
  const { trail, clock, logged } = createTrail(['ioctl']);
  for (let at = 0n; at < 10n; at++)
    trail.record({ bootNs: clock.nowNs + (at * SECOND) / 10n, kind: 'ioctl' });
  assert.equal(clock.reads, 1);
  clock.offsetNs += 3600n * SECOND;
  clock.nowNs += SECOND;
  trail.record({ bootNs: clock.nowNs, kind: 'ioctl' });
  assert.equal(clock.reads, 2);
  assert.equal(logged().at(-1).time, '2023-11-14T23:15:01.000000000Z');
});

test('an event that is older than the last look at the clock needs no other', () => {
  const { trail, clock, logged } = createTrail(['ioctl']);
  trail.record({ bootNs: clock.nowNs, kind: 'ioctl' });
  trail.record({ bootNs: clock.nowNs - 50n * SECOND, kind: 'ioctl' });
  assert.equal(clock.reads, 1);
  assert.equal(logged()[1].time, '2023-11-14T22:14:10.000000000Z');
});

test('now is the clock of the kernel’s records', () => {
  const { trail, clock } = createTrail([]);
  assert.equal(trail.bootNow(), clock.nowNs);
});

test('what was counted is logged where its like is, and need not be durable at once', () => {
  const { trail, logged } = createTrail(['uevent']);
  for (const of of ['ioctl', 'uevent'] as const) {
    const entry = {
      kind: 'aggregate',
      aggregate: { of, count: 5n, firstBootNs: 1n, lastBootNs: 2n, devices: 'several' },
    } as const;
    assert.equal(isUrgent({ bootNs: 2n, ...entry }), false);
    trail.record({ bootNs: 2n, ...entry });
  }
  assert.deepEqual(
    logged().map(({ kind, aggregate }) => [kind, aggregate.of]),
    [['aggregate', 'uevent']],
  );
});
