import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Life } from '../../src/devices/registry.js';
import type { Container } from '../../src/identity/container.js';
import { createActivity } from '../../src/sinks/activity.js';
import { aggregateOf, CONTAINER, caller, INITIAL, ioctlEvent, ueventEvent, WEB } from '../event-fixture.js';

const UNIT: Container = { ...WEB, runtime: 'systemd', id: 'cron.service', name: 'cron' };
const LIFE = { caller: caller(), container: WEB } as Life;

function createClock() {
  const clock = { ms: 1_000_000 };
  return { clock, activity: createActivity({ nowMs: () => clock.ms }) };
}

test('counts what a container does, whatever its user namespaces, and what nobody’s container does by namespace', () => {
  const { activity } = createClock();
  activity.note(ioctlEvent(), undefined, WEB);
  activity.note(ioctlEvent({ caller: caller(88n), result: -16 }), undefined, { ...WEB });
  activity.note(ioctlEvent({ caller: caller(INITIAL) }), undefined, UNIT);
  activity.note(ioctlEvent({ caller: caller(INITIAL) }), undefined, undefined);
  const rows = activity
    .report()
    .rows.map(({ container, userns, total }) => [container?.name, userns.id, total]);
  assert.deepEqual(rows, [
    ['web', 88n, { ioctls: 2, failures: 1, hiddenUevents: 0 }],
    [undefined, INITIAL, { ioctls: 2, failures: 0, hiddenUevents: 0 }],
  ]);
});

test('a hidden uevent counts for whose device it is, not for who sent it; a delivered one for nobody', () => {
  const { activity } = createClock();
  activity.note(ueventEvent({ emitter: caller(INITIAL) }), LIFE, UNIT);
  activity.note(ueventEvent({ verdict: 0 }), LIFE, WEB);
  const { rows } = activity.report();
  assert.equal(rows.length, 1);
  assert.deepEqual(
    [rows[0]?.container?.id, rows[0]?.userns.id, rows[0]?.total.hiddenUevents],
    [WEB.id, CONTAINER, 1],
  );
});

test('before a life is known a hidden uevent counts for the owner’s container, whose task sends it', () => {
  const { activity } = createClock();
  activity.note(ueventEvent({ emitter: caller(CONTAINER) }), undefined, WEB);
  const [row] = activity.report().rows;
  assert.deepEqual([row?.container?.id, row?.total.hiddenUevents], [WEB.id, 1]);
});

test('rates are of the last ten whole seconds, and end when nothing happens any more', () => {
  const { clock, activity } = createClock();
  for (let second = 0; second < 30; second++) {
    for (let each = 0; each < 7; each++) activity.note(ioctlEvent({ result: each ? 0 : -1 }), undefined, WEB);
    clock.ms += 1000;
  }
  const rates = () => activity.report().rows[0]?.perSecond;
  assert.deepEqual(rates(), { ioctls: 7, failures: 1, hiddenUevents: 0 });
  clock.ms += 5000;
  assert.deepEqual(rates(), { ioctls: 3.5, failures: 0.5, hiddenUevents: 0 });
  clock.ms += 6000;
  assert.deepEqual(rates(), { ioctls: 0, failures: 0, hiddenUevents: 0 });
  assert.equal(activity.report().rows[0]?.total.ioctls, 210);
});

test('forgets who was silent longest, and says how many those were', () => {
  const activity = createActivity({ capacity: 2 });
  for (const id of [1n, 2n, 1n, 4n]) activity.note(ioctlEvent({ caller: caller(id) }), undefined, undefined);
  const { rows, forgotten } = activity.report();
  assert.deepEqual(
    rows.map(({ userns }) => userns.id),
    [1n, 4n],
  );
  assert.equal(forgotten, 1);
});

test('what was counted instead of recorded counts as often as it happened', () => {
  const { activity } = createClock();
  activity.noteAggregate(aggregateOf(), WEB);
  activity.noteAggregate(aggregateOf({ result: 0, count: 10n }), WEB);
  activity.noteAggregate(aggregateOf({ of: 'uevent', result: 1, count: 5n }), WEB);
  activity.noteAggregate(aggregateOf({ of: 'uevent', result: 0, count: 7n }), WEB);
  const rows = activity.report().rows.map(({ container, total }) => [container?.name, total]);
  assert.deepEqual(rows, [['web', { ioctls: 1010, failures: 1000, hiddenUevents: 5 }]]);
});
