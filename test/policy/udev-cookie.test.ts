import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RULE, VERDICT } from '../../src/kernel/abi.js';
import type { Receiver } from '../../src/kernel/receivers.js';
import { hiddenCookie, isUdevFiltered } from '../../src/policy/udev-cookie.js';
import { ioctlEvent, ueventEvent } from '../event-fixture.js';

const HIDDEN = { verdict: VERDICT.HIDE, rule: RULE.STACKED };

test('a cookie is completed for an event that was hidden, and if somebody waits', () => {
  assert.equal(hiddenCookie(ueventEvent({ ...HIDDEN, dmCookie: 0x21_4a7f })), 0x21_4a7f);
  assert.equal(hiddenCookie(ueventEvent({ ...HIDDEN, dmCookie: 0xffff_ffff })), 0xffff_ffff);
  // Udev gets it, and completes it.
  const delivered = { verdict: VERDICT.DELIVER, rule: RULE.OBSERVE, dmCookie: 0x21_4a7f };
  assert.equal(hiddenCookie(ueventEvent(delivered)), undefined);
  // Flags only: --noudevsync.
  assert.equal(hiddenCookie(ueventEvent({ ...HIDDEN, dmCookie: 0x21_0000 })), undefined);
  assert.equal(hiddenCookie(ueventEvent({ ...HIDDEN, dmCookie: 0 })), undefined);
  assert.equal(hiddenCookie(ioctlEvent()), undefined);
});

test('not if the host’s udevd gets everything', () => {
  const receiver = (pid: number, kind: Receiver['class']): Receiver => ({ pid, class: kind }) as Receiver;
  const others = [receiver(7, 'allowed'), receiver(8, 'unfiltered'), receiver(9, 'foreign_filter')];
  assert.equal(isUdevFiltered([...others, receiver(1, 'filtered')], 1), true);
  for (const kind of ['allowed', 'unfiltered', 'foreign_filter'] as const)
    assert.equal(isUdevFiltered([...others, receiver(1, kind)], 1), false, kind);
  assert.equal(isUdevFiltered(others, 0), true, 'there is no udevd');
});
