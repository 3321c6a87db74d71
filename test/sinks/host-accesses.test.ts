import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoopEvent } from '../../src/events/decode.js';
import { LOOP_COMMAND } from '../../src/kernel/abi.js';
import { createHostAccesses } from '../../src/sinks/host-accesses.js';
import { CONTAINER, caller, INITIAL, ioctlEvent, ueventEvent } from '../event-fixture.js';

function countsOf(...events: LoopEvent[]): unknown {
  const accesses = createHostAccesses();
  for (const event of events) accesses.note(event);
  return accesses.counts();
}

const HOST = caller(INITIAL);
const LOOK = { command: LOOP_COMMAND.LOOP_GET_STATUS64, ownerBefore: CONTAINER, ownerAfter: CONTAINER };

test('counts a process of the host that looks at a device of a user namespace, or writes to its uevent file', () => {
  const events = [
    ioctlEvent({ ...LOOK, caller: HOST }),
    // Also one that the kernel refused.
    ioctlEvent({ ...LOOK, caller: HOST, result: -16, command: LOOP_COMMAND.LOOP_CONFIGURE }),
    ueventEvent({ emitter: HOST, synthetic: 1 }),
  ];
  assert.deepEqual(countsOf(...events), { ioctl: 2, uevent: 1 });
});

test('counts neither the owner, nor the host at its own devices, nor who cleans up, nor the kernel’s own uevents', () => {
  const events = [
    ioctlEvent({ ...LOOK }),
    ioctlEvent({ ...LOOK, caller: HOST, ownerBefore: INITIAL, ownerAfter: INITIAL }),
    ioctlEvent({ ...LOOK, caller: HOST, ownerBefore: 0n, ownerAfter: 0n }),
    ioctlEvent({ ...LOOK, caller: HOST, command: LOOP_COMMAND.LOOP_CLR_FD }),
    ioctlEvent({ ...LOOK, caller: HOST, command: LOOP_COMMAND.LOOP_CTL_REMOVE }),
    ueventEvent({ emitter: HOST, synthetic: 0 }),
    ueventEvent({ synthetic: 1 }),
    ueventEvent({ emitter: HOST, synthetic: 1, owner: INITIAL }),
  ];
  assert.deepEqual(countsOf(...events), { ioctl: 0, uevent: 0 });
});

test('counts nothing of the agent itself', () => {
  const accesses = createHostAccesses(HOST.pid);
  accesses.note(ioctlEvent({ ...LOOK, caller: HOST }));
  assert.deepEqual(accesses.counts(), { ioctl: 0, uevent: 0 });
});
