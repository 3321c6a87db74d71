import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { renderEvent } from '../../src/commands/event-line.js';
import type { Container } from '../../src/identity/container.js';
import { entryOfAggregate, entryOfEvent } from '../../src/sinks/audit-events.js';
import { formatAuditLine } from '../../src/sinks/audit-line.js';
import { aggregateOf, caller, INITIAL, ioctlEvent, LOOP3, ueventEvent, WEB } from '../event-fixture.js';
import { assertHarmless, HOSTILE_NAMES } from './terminal.js';

const DEVICE = { name: 'loop3', devno: LOOP3, diskseq: 9n };

/** The line of the audit log for an event, as the agent gives it. */
function lineOf(event: Parameters<typeof entryOfEvent>[0], container?: Container): string {
  const entry = entryOfEvent(event, DEVICE, undefined, container);
  return formatAuditLine({ ...entry, seq: 1, wallOffsetNs: 1_700_000_000_000_000_000n });
}

test('an ioctl is one line: when, what, on which device, how it ended, who, with which file', () => {
  assert.equal(
    renderEvent(lineOf(ioctlEvent({}, '/srv/disk.img'))),
    '22:13:25.000 LOOP_CONFIGURE    loop3   ok      losetup[100] uid 100000 userns 4026532101 /srv/disk.img',
  );
  const failed = ioctlEvent({ result: -16, caller: caller(INITIAL) });
  assert.match(renderEvent(lineOf(failed)), / loop3 {3}EBUSY {3}losetup\[100\] uid 0 host$/);
});

test('what was counted is one line, with how often it happened', () => {
  const line = formatAuditLine({ ...entryOfAggregate(aggregateOf(), DEVICE, WEB), seq: 1, wallOffsetNs: 0n });
  assert.match(
    renderEvent(line),
    / LOOP_GET_STATUS64 loop3 {3}ENXIO × 1000 losetup\[100\] uid 100000 userns \d+ docker\/web$/,
  );
});

test('a container is told by its name; a unit of the host is not one', () => {
  assert.match(
    renderEvent(lineOf(ioctlEvent({}, '/srv/disk.img'), WEB)),
    / uid 100000 userns 4026532101 docker\/web \/srv\/disk\.img$/,
  );
  const unit: Container = { ...WEB, runtime: 'systemd', id: 'cron.service', name: 'cron' };
  assert.match(renderEvent(lineOf(ioctlEvent({}, '/srv/disk.img'), unit)), / 4026532101 \/srv\/disk\.img$/);
});

test('a uevent tells its verdict and the rule', () => {
  assert.match(renderEvent(lineOf(ueventEvent())), / change {12}loop3 {3}hide \(holder\) losetup\[100\]/);
});

test('what the agent itself did is a line too', () => {
  const line =
    '{"seq":1,"time":"2023-11-14T22:13:25.000000123Z","boot_ns":5,"kind":"agent","command":"start","result":"ok"}';
  assert.equal(renderEvent(line), '22:13:25.000 start             -       ok');
});

test('lines that were left out are told', () => {
  assert.match(renderEvent('{"kind":"gap","lost":17}'), /^17 lines were not shown/);
});

test('a namespace whose id is beyond 2^53 is not taken for the host', () => {
  const line = lineOf(ioctlEvent({ caller: caller(2n ** 60n) }));
  assert.match(renderEvent(line), /userns 4026532101/);
  assert.doesNotMatch(renderEvent(line), /host/);
});

test('hostile names never reach the terminal raw', () => {
  for (const [what, name] of Object.entries(HOSTILE_NAMES)) {
    const event = ioctlEvent({ caller: caller(INITIAL, { comm: name }) }, `/srv/${name}.img`);
    assertHarmless(renderEvent(lineOf(event)), 1, what);
    // And from an agent that would not escape.
    const raw = {
      kind: name,
      command: name,
      device: { name },
      result: name,
      verdict: name,
      container: { runtime: name, id: name, name },
      backing: { path: name },
    };
    assertHarmless(renderEvent(JSON.stringify(raw)), 1, what);
    assertHarmless(renderEvent(name), 1, what);
  }
});

test('whatever line comes, it is shown and does not end the command', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (line) => assertHarmless(renderEvent(line), 1, line)));
  for (const line of ['', 'null', '3', '"text"', '[]', '{', '{}', 'true', '[null]']) {
    assertHarmless(renderEvent(line), 1, line);
  }
  assert.equal(renderEvent('no JSON'), 'no JSON');
});
