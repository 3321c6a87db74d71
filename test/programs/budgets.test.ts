/** Which records are made, and which are only counted, by the real programs. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { devnoOf, LOOP_MAJOR } from '../../src/devices/devno.js';
import { openAccounts } from '../../src/events/accounts.js';
import { type Aggregate, measureAggregateGap, openAggregates } from '../../src/events/aggregates.js';
import { readBudgets, setBudgets } from '../../src/events/budgets.js';
import { takeLostCookies } from '../../src/events/lost-cookies.js';
import { EVENT_KIND, STACK_STATE, UEVENT_ACTION, UEVENT_EVENT_SIZE, VERDICT } from '../../src/kernel/abi.js';
import { readCounters, readDrops } from '../../src/kernel/counters.js';
import { loopPartShift } from '../../src/kernel/settings.js';
import { CONTAINER, INITIAL } from '../event-fixture.js';
import {
  emit,
  emitUnread,
  programs,
  readEmitted,
  setDisk,
  setMode,
  setOwner,
  ueventText,
} from './uevent-programs.js';

const NUMBER = 816;
const DEVNO = devnoOf(LOOP_MAJOR, NUMBER << loopPartShift());
const DISK = `/devices/virtual/block/loop${NUMBER}`;
const PARTITION = ueventText({ path: `${DISK}/loop${NUMBER}p1` });
const RING_BYTES = programs.map('events').maxEntries;
const maps = { aggregates: programs.map('aggregates'), recordBudgets: programs.map('record_budgets') };
const aggregates = openAggregates(maps);

/** Of this process, root on the host: 16 times as many. */
const limitTo = (recordsPerSecond: number): void =>
  setBudgets(maps.recordBudgets, { ringBytes: RING_BYTES, recordsPerSecond });

async function take(): Promise<Aggregate[]> {
  const told: Aggregate[] = [];
  await aggregates.take(async (list) => void told.push(...list));
  return told;
}

/** Of root on the host, USERNS_INITIAL. */
function forgetPurse(): void {
  const key = Buffer.alloc(8);
  key.writeBigUInt64LE(INITIAL);
  programs.map('budgets').delete(key);
}

beforeEach(async () => {
  setMode('hide');
  setOwner(DEVNO, { creator: INITIAL, holder: CONTAINER });
  forgetPurse();
  readEmitted();
  aggregates.close();
  await take();
});

test('past its budget a principal’s events are counted, with who, what and when', async () => {
  limitTo(1);
  const [made, calls] = [emit(PARTITION).length, 500];
  assert.equal(made, 1);
  let recorded = made;
  for (let call = 1; call < calls; call++) recorded += emit(PARTITION).length;
  // A burst of 16, and 16 a second.
  assert.ok(recorded >= 16 && recorded < calls / 2, `${recorded} of ${calls}`);
  assert.deepEqual(await take(), [], 'the interval is open');
  aggregates.close();
  const [aggregate, ...others] = await take();
  assert.deepEqual(others, []);
  assert.ok(aggregate);
  const { of, command, result, count, caller, firstBootNs, lastBootNs, devno, isMixed } = aggregate;
  assert.deepEqual(
    [of, command, result, Number(count), caller.pid, caller.userns.id],
    ['uevent', UEVENT_ACTION.CHANGE, VERDICT.HIDE, calls - recorded, process.pid, INITIAL],
  );
  assert.deepEqual([devno, isMixed], [DEVNO, 0]);
  assert.ok(firstBootNs < lastBootNs);
  assert.deepEqual(await take(), [], 'told once');
});

/** Counted, of what is emitted now. */
async function countedOf(...texts: string[]): Promise<Aggregate[]> {
  limitTo(1);
  while (emit(PARTITION).length > 0);
  aggregates.close();
  await take();
  for (const text of texts) assert.deepEqual(emit(text), []);
  aggregates.close();
  return take();
}

test('a count says which disk it is of, or that it is of several', async () => {
  const next = devnoOf(LOOP_MAJOR, (NUMBER + 1) << loopPartShift());
  setOwner(next, { creator: CONTAINER });
  const other = ueventText({ path: `/devices/virtual/block/loop${NUMBER + 1}/loop${NUMBER + 1}p1` });
  const disksOf = (list: Aggregate[]): unknown => list.map(({ devno, isMixed }) => [devno, isMixed]);
  assert.deepEqual(disksOf(await countedOf(other, other)), [[next, 0]]);
  assert.deepEqual(disksOf(await countedOf(PARTITION, other, PARTITION)), [[DEVNO, 1]]);
});

test('what the host asks of another’s device by sysfs is counted apart', async () => {
  const asked = ueventText({ path: `${DISK}/loop${NUMBER}p1`, fields: ['SYNTH_UUID=0'] });
  const found = await countedOf(asked, PARTITION, asked, asked);
  const foreign = (list: Aggregate[]): number[][] =>
    list
      .map(({ isForeign, caller, count }) => [isForeign, caller.isForeign, Number(count)])
      .sort(([a = 0], [b = 0]) => a - b);
  assert.deepEqual(foreign(found), [
    [0, 0, 1],
    [1, 1, 3],
  ]);
  setOwner(DEVNO, { creator: INITIAL });
  assert.deepEqual(foreign(await countedOf(asked)), [[0, 0, 1]]);
});

test('what somebody may wait for is recorded whatever the budget, and not lost with a full ring', () => {
  const name = 'dm-7';
  const devno = devnoOf(254, 7);
  setDisk(name, devno);
  setOwner(devno, { stacked: CONTAINER, links: 1, stack: STACK_STATE.LINKED });
  const resumed = (cookie: number): string =>
    ueventText({
      path: `/devices/virtual/block/${name}`,
      fields: [`DM_COOKIE=${cookie}`, 'MAJOR=254', 'MINOR=7'],
    });
  limitTo(1);
  while (emit(PARTITION).length > 0);
  for (let time = 0; time < 100; time++)
    assert.deepEqual(
      emit(resumed(0x21_4a7f)).map(({ dmCookie }) => dmCookie),
      [0x21_4a7f],
    );
  for (let sent = 0; sent * UEVENT_EVENT_SIZE < RING_BYTES; sent++) emitUnread(resumed(0));
  const dropped = (): number => readDrops(programs.map('drop_counts')).ring_full ?? 0;
  const before = dropped();
  for (const cookie of [0x21_4a7f, 0x21_4a7f, 0x21_4a80, 0]) emitUnread(resumed(cookie));
  setMode('observe');
  emitUnread(resumed(0x21_4a81));
  assert.equal(dropped() - before, 5);
  assert.deepEqual(takeLostCookies(programs.map('lost_cookies')), [0x21_4a7f, 0x21_4a7f, 0x21_4a80]);
  assert.deepEqual(takeLostCookies(programs.map('lost_cookies')), [], 'each once');
});

test('a disk that comes or goes is recorded whatever the budget, unless somebody only says so', () => {
  limitTo(1);
  while (emit(PARTITION).length > 0);
  for (const action of ['add', 'remove'])
    for (let time = 0; time < 100; time++)
      assert.equal(emit(ueventText({ action, path: DISK })).length, 1, action);
  assert.equal(emit(ueventText({ action: 'add', path: DISK, fields: ['SYNTH_UUID=0'] })).length, 0);
});

test('the top of the ring is for what changes whose a device is', () => {
  limitTo(1_000_000);
  const { hostBytes, sharedBytes } = readBudgets(maps.recordBudgets);
  assert.ok(sharedBytes < hostBytes && hostBytes < RING_BYTES);
  const bytes = UEVENT_EVENT_SIZE + 8;
  const before = readDrops(programs.map('drop_counts'));
  // More than the burst: it is to be the ring that is full.
  const fill = (): void => {
    for (let sent = 0; sent * bytes < RING_BYTES; sent++) {
      if (sent % 100 === 0) forgetPurse();
      emitUnread(PARTITION);
    }
  };
  fill();
  const ordinary = readEmitted().length;
  assert.ok(Math.abs(ordinary * bytes - hostBytes) <= bytes, `${ordinary} records`);
  fill();
  emitUnread(ueventText({ action: 'add', path: DISK }));
  assert.equal(readEmitted().at(-1)?.action, UEVENT_ACTION.ADD);
  assert.deepEqual(readDrops(programs.map('drop_counts')), before);
});

test('what was made is what was read, counted and dropped', () => {
  const accounts = openAccounts({
    recordSeq: programs.map('record_seq'),
    dropCounts: programs.map('drop_counts'),
    aggregateCounts: programs.map('aggregate_counts'),
  });
  accounts.begin();
  limitTo(1);
  const before = accounts.check(() => true);
  const calls = 300;
  let read = 0;
  for (let call = 0; call < calls; call++)
    for (const record of emit(PARTITION)) {
      accounts.note({ kind: 'uevent', record });
      read++;
    }
  const after = accounts.check(() => true);
  assert.equal(after.produced - before.produced, calls);
  assert.equal(after.delivered - before.delivered, read);
  assert.equal(after.aggregated - before.aggregated, calls - read);
  assert.equal(accounts.check(() => true).unaccounted, 0);
  assert.ok((readCounters(programs.map('aggregate_counts'))[EVENT_KIND.UEVENT] ?? 0) >= calls - read);
});

test('without terms everything is recorded', () => {
  maps.recordBudgets.put(Buffer.alloc(4), Buffer.alloc(32));
  for (let time = 0; time < 2000; time++) assert.equal(emit(PARTITION).length, 1);
});

test('an agent of another layout can tell how much there was, and when', async () => {
  limitTo(1);
  for (let call = 0; call < 100; call++) emit(PARTITION);
  const gap = measureAggregateGap(maps.aggregates);
  aggregates.close();
  const [aggregate] = await take();
  assert.deepEqual(gap, {
    records: Number(aggregate?.count),
    fromBootNs: aggregate?.firstBootNs,
    toBootNs: aggregate?.lastBootNs,
  });
});
