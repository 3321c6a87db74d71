/** The record of one uevent: from the program's text through the ring to the decoded event. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { devnoOf, LOOP_MAJOR } from '../../src/devices/devno.js';
import {
  EVENT_KIND,
  RULE,
  UEVENT_ACTION,
  UEVENT_EVENT_SIZE,
  UEVENT_SUBSYSTEM,
  VERDICT,
} from '../../src/kernel/abi.js';
import { readCounters } from '../../src/kernel/counters.js';
import { loopPartShift } from '../../src/kernel/settings.js';
import { CONTAINER, INITIAL } from '../event-fixture.js';
import { emit, forgetOwner, native, programs, setMode, setOwner, ueventText } from './uevent-programs.js';

const NUMBER = 815;
const MINOR = NUMBER << loopPartShift();
const DEVNO = devnoOf(LOOP_MAJOR, MINOR);
const DISK = `/devices/virtual/block/loop${NUMBER}`;

beforeEach(() => {
  setMode('hide');
  setOwner(DEVNO, { creator: INITIAL, holder: CONTAINER });
});

/** The one record of a text. */
function recordOf(parts: Parameters<typeof ueventText>[0]) {
  const records = emit(ueventText({ path: DISK, ...parts }));
  assert.equal(records.length, 1);
  const [record] = records;
  assert.ok(record);
  return record;
}

test('says which device, what happened, whose it is and what the host gets', () => {
  const before = native.clocks().bootNs;
  const { header, emitter, ...record } = recordOf({ fields: ['DISKSEQ=77', 'MAJOR=7'] });
  assert.deepEqual(record, {
    devno: DEVNO,
    action: UEVENT_ACTION.CHANGE,
    subsystem: UEVENT_SUBSYSTEM.BLOCK,
    synthetic: 0,
    verdict: VERDICT.HIDE,
    rule: RULE.HOLDER,
    owner: CONTAINER,
    holderEnded: 0n,
    diskseq: 77n,
    state: 0,
    wholeDisk: 1,
    dmCookie: 0,
    disk: '',
  });
  assert.deepEqual([header.kind, header.size], [EVENT_KIND.UEVENT, UEVENT_EVENT_SIZE]);
  assert.ok(header.bootNs >= before && header.bootNs <= native.clocks().bootNs);
  assert.equal(emitter.pid, process.pid);
  assert.deepEqual([emitter.uid, emitter.gid], [process.geteuid?.(), process.getegid?.()]);
  assert.deepEqual([emitter.userns.id, emitter.userns.level], [INITIAL, 0]);
});

test('numbers the records of a CPU without a hole', () => {
  const headers = Array.from({ length: 20 }, () => recordOf({}).header);
  const perCpu = new Map<number, bigint[]>();
  for (const { cpu, cpuSeq } of headers) perCpu.set(cpu, [...(perCpu.get(cpu) ?? []), cpuSeq]);
  for (const list of perCpu.values()) {
    assert.deepEqual(
      list,
      list.map((_, index) => (list[0] ?? 0n) + BigInt(index)),
    );
  }
});

test('knows every action of the kernel, and any other as other', () => {
  for (const [name, action] of Object.entries(UEVENT_ACTION)) {
    assert.equal(recordOf({ action: name.toLowerCase() }).action, action, name);
  }
  for (const action of ['ad', 'adds', 'chang', 'ADD', 'x'])
    assert.equal(recordOf({ action }).action, 0, action);
});

test('tells the disk from what is below it and from its bdi', () => {
  const below = recordOf({ path: `${DISK}/loop${NUMBER}p1` });
  assert.deepEqual([below.devno, below.wholeDisk, below.subsystem], [DEVNO, 0, UEVENT_SUBSYSTEM.BLOCK]);
  const bdi = recordOf({ path: `/devices/virtual/bdi/7:${MINOR}`, subsystem: 'bdi' });
  assert.deepEqual([bdi.devno, bdi.wholeDisk, bdi.subsystem], [DEVNO, 0, UEVENT_SUBSYSTEM.BDI]);
  assert.equal(recordOf({}).wholeDisk, 1);
});

test('tells a synthetic event from the kernel’s own', () => {
  assert.equal(recordOf({ fields: ['SYNTH_UUID=0', 'DISKSEQ=5'] }).synthetic, 1);
  assert.equal(recordOf({ fields: ['SYNTH_UUID=fe4d7c9d-b8c6-4a70-9ef1-3d8a58d18eed'] }).synthetic, 1);
  assert.equal(recordOf({ fields: ['SYNTH_ARG_A=1'] }).synthetic, 0);
  assert.equal(recordOf({ fields: ['SEQNUM=1', 'SYNTH_UUID=0'] }).synthetic, 0);
});

test('reads the number of the life wherever it stands, and none where there is none', () => {
  assert.equal(recordOf({ fields: ['A=1', 'B=2', 'DISKSEQ=281474976710655'] }).diskseq, 2n ** 48n - 1n);
  for (const fields of [
    [],
    ['DISKSEQ='],
    ['DISKSEQ=x'],
    ['XDISKSEQ=5'],
    [`A=${'x'.repeat(100)}`, 'DISKSEQ=5'],
  ]) {
    assert.equal(recordOf({ fields }).diskseq, 0n, fields.join());
  }
});

test('says what the host gets in each mode', () => {
  const outcomes = (['hide', 'observe', 'off'] as const).map((mode) => {
    setMode(mode);
    const { verdict, rule, owner } = recordOf({});
    return [verdict, rule, owner];
  });
  assert.deepEqual(outcomes, [
    [VERDICT.HIDE, RULE.HOLDER, CONTAINER],
    [VERDICT.DELIVER, RULE.OBSERVE, CONTAINER],
    [VERDICT.DELIVER, RULE.OBSERVE, CONTAINER],
  ]);
});

test('says of a device of the host or of nobody that the host gets it', () => {
  setOwner(DEVNO, { creator: CONTAINER, holder: INITIAL });
  assert.deepEqual([recordOf({}).verdict, recordOf({}).rule], [VERDICT.DELIVER, RULE.INITIAL_OWNER]);
  forgetOwner(DEVNO);
  assert.deepEqual([recordOf({}).verdict, recordOf({}).rule], [VERDICT.DELIVER, RULE.UNKNOWN_OWNER]);
});

test('of what is about no loop device there is no record, only a count', () => {
  const counts = () => readCounters(programs.map('uevent_counts'));
  const actions = Object.keys(UEVENT_ACTION).length;
  const verdicts = Object.keys(VERDICT).length;
  const at = (UEVENT_SUBSYSTEM.OTHER * actions + UEVENT_ACTION.ADD) * verdicts + VERDICT.DELIVER;
  const before = counts()[at] ?? 0;
  assert.deepEqual(
    emit(ueventText({ action: 'add', path: '/devices/virtual/net/lo', subsystem: 'net' })),
    [],
  );
  assert.equal(counts()[at], before + 1);
});

test('what is no kernel uevent is not even counted', () => {
  const sum = () => readCounters(programs.map('uevent_counts')).reduce((total, count) => total + count, 0);
  const before = sum();
  for (const text of ['', 'libudev\0rest', 'nonsense', '@/x', '\0'.repeat(100)])
    assert.deepEqual(emit(text), []);
  assert.equal(sum(), before);
});

test('loses no record in all this', () => {
  assert.deepEqual([...readCounters(programs.map('drop_counts'))], [0, 0, 0, 0, 0, 0]);
});
