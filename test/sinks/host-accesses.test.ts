import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Aggregate } from '../../src/events/aggregates.js';
import type { LoopEvent } from '../../src/events/decode.js';
import { LOOP_COMMAND, UEVENT_ACTION } from '../../src/kernel/abi.js';
import { createHostAccesses } from '../../src/sinks/host-accesses.js';
import { aggregateOf, caller, INITIAL, ioctlEvent, ueventEvent } from '../event-fixture.js';

function countsOf(events: LoopEvent[], aggregates: Aggregate[] = [], ownPid?: number): unknown {
  const accesses = createHostAccesses(ownPid);
  for (const event of events) accesses.note(event);
  for (const aggregate of aggregates) accesses.noteAggregate(aggregate);
  return accesses.counts();
}

/** At another's device, as the kernel says. Which these are: test/programs/budgets.test.ts, test/kernel/host-accesses.test.ts. */
const HOST = caller(INITIAL, { isForeign: 1 });
const LOOK = { command: LOOP_COMMAND.LOOP_GET_STATUS64, caller: HOST };

test('counts a process of the host that looks at another’s device, or writes to its uevent file', () => {
  const events = [
    ioctlEvent(LOOK),
    // Also one that the kernel refused.
    ioctlEvent({ ...LOOK, result: -16, command: LOOP_COMMAND.LOOP_CONFIGURE }),
    ueventEvent({ emitter: HOST, synthetic: 1 }),
  ];
  assert.deepEqual(countsOf(events), { ioctl: 2, uevent: 1 });
});

test('counts what was counted instead of recorded, each call of it', () => {
  const foreign = { caller: HOST, isForeign: 1 };
  const aggregates = [
    aggregateOf({ ...foreign, count: 300n }),
    aggregateOf({ ...foreign, of: 'uevent', command: UEVENT_ACTION.CHANGE, count: 20n }),
    aggregateOf({ ...foreign, command: LOOP_COMMAND.LOOP_CLR_FD }),
    // Of the same caller at his own devices.
    aggregateOf({ caller: HOST }),
    aggregateOf(),
  ];
  assert.deepEqual(countsOf([ioctlEvent(LOOK)], aggregates), { ioctl: 301, uevent: 20 });
});

test('counts neither who is at his own device, nor who cleans up', () => {
  const events = [
    ioctlEvent({ command: LOOP_COMMAND.LOOP_GET_STATUS64 }),
    ioctlEvent({ ...LOOK, command: LOOP_COMMAND.LOOP_CLR_FD }),
    ioctlEvent({ ...LOOK, command: LOOP_COMMAND.LOOP_CTL_REMOVE }),
    ueventEvent({ synthetic: 1 }),
  ];
  assert.deepEqual(countsOf(events), { ioctl: 0, uevent: 0 });
});

test('counts nothing of the agent itself', () => {
  const aggregates = [aggregateOf({ caller: HOST, isForeign: 1 })];
  assert.deepEqual(countsOf([ioctlEvent(LOOK)], aggregates, HOST.pid), { ioctl: 0, uevent: 0 });
});
