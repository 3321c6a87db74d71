/** What housekeeping does with what the real programs have left; stacks are in test/kernel/stacking-links.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { devnoOf } from '../src/devices/devno.js';
import { createHousekeeping } from '../src/housekeeping.js';
import { STACK_STATE } from '../src/kernel/abi.js';
import { linkOf } from '../src/kernel/hooks.js';
import { CONTAINER } from './event-fixture.js';
import {
  emitUnread,
  native,
  programs,
  readEmitted,
  setDisk,
  setMode,
  setOwner,
  ueventText,
} from './programs/uevent-programs.js';

const NAME = 'dm-7';
const COOKIE = 0x21_4a7f;

test('who waits for a uevent whose record found no room is let go, once', () => {
  setMode('hide');
  setDisk(NAME, devnoOf(254, 7));
  setOwner(devnoOf(254, 7), { stacked: CONTAINER, links: 1, stack: STACK_STATE.LINKED });
  const completed: number[] = [];
  const errors: string[] = [];
  const link = linkOf('disk_stacking', [{ state: 'attached', link: 'fentry' }]);
  assert.ok(link);
  const house = createHousekeeping({
    native,
    kernel: {
      map: programs.map,
      link: () => link,
      pins: { arePresent: () => true } as never,
    },
    filter: { refresh: () => {} },
    accounts: { check: () => ({ produced: 0, delivered: 0, aggregated: 0, unaccounted: 0 }) },
    isRingRead: () => true,
    completeCookie: (cookie) => void completed.push(cookie),
    pinsPath: '',
    tellHost: () => {},
    log: { info: () => {}, error: (_: unknown, message: string) => void errors.push(message) } as never,
  });
  assert.equal(house.lookForStacks, undefined);
  house.keep();
  const text = ueventText({
    path: `/devices/virtual/block/${NAME}`,
    fields: [`DM_COOKIE=${COOKIE}`, 'MAJOR=254', 'MINOR=7'],
  });
  const { maxEntries } = programs.map('events');
  for (let sent = 0; sent * 200 < maxEntries; sent++) emitUnread(text.replace(String(COOKIE), '0'));
  emitUnread(text);
  assert.deepEqual(completed, []);
  house.keep();
  house.keep();
  assert.deepEqual([completed, errors], [[COOKIE], ['records were lost']]);
  readEmitted();
});
