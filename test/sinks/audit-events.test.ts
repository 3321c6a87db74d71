import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import type { Life } from '../../src/devices/registry.js';
import { LOOP_COMMAND, LOOP_COMMAND_NAMES, RULE, UEVENT_ACTION, VERDICT } from '../../src/kernel/abi.js';
import {
  type AuditEntry,
  entryOfAggregate,
  entryOfEvent,
  entryOfLifeEnd,
  resultName,
} from '../../src/sinks/audit-events.js';
import {
  aggregateOf,
  CONTAINER,
  caller,
  configState,
  INITIAL,
  ioctlEvent,
  LOOP3,
  ueventEvent,
  unboundState,
  WEB,
} from '../event-fixture.js';

const DEVICE = { name: 'loop3', devno: LOOP3, diskseq: 9n };
const LIFE: Life = {
  diskseq: 9n,
  holder: CONTAINER,
  caller: caller(),
  container: undefined,
  backing: { dev: (8 << 20) | 1, inode: 42n, path: '/srv/disk.img' },
  config: { offset: 0n, sizelimit: 0n, flags: 0, blockSize: 512 },
  beganBootNs: 1n,
};
const AT = 5_000_000_000n;

const ioctl = (more: Parameters<typeof ioctlEvent>[0] = {}, path?: string, life?: Life): AuditEntry =>
  entryOfEvent(ioctlEvent(more, path), DEVICE, life);

test('an attachment says who, with what result, what file and where, and whose it was and is', () => {
  assert.deepEqual(ioctl({}, '/srv/disk.img', LIFE), {
    bootNs: AT,
    kind: 'ioctl',
    command: 'LOOP_CONFIGURE',
    arch: 'x86_64',
    device: DEVICE,
    result: 'ok',
    durationNs: 1234n,
    caller: caller(),
    opener: { uid: 100_000, userns: CONTAINER },
    backing: { dev: (8 << 20) | 1, inode: 42n, path: '/srv/disk.img' },
    config: { offset: 4096n, sizelimit: 65_536n, flags: 0, blockSize: 512 },
    owner: { before: INITIAL, after: CONTAINER },
  });
});

test('a command has the kernel’s own name; one that this agent does not know, its number', () => {
  for (const [command, name] of LOOP_COMMAND_NAMES) {
    assert.equal(ioctl({ command }).command, name);
    assert.match(name, /^LOOP_/);
  }
  assert.equal(ioctl({ command: 99 }).command, '99');
});

test('the architecture is that of the call', () => {
  assert.deepEqual([ioctl({ arch: 0 }).arch, ioctl({ arch: 1 }).arch], ['x86_64', 'i386']);
});

test('a result is ok or the errno’s name', () => {
  const names = {
    EPERM: 1,
    ENXIO: 6,
    EBADF: 9,
    EACCES: 13,
    EBUSY: 16,
    EEXIST: 17,
    ENODEV: 19,
    EINVAL: 22,
    ENOTTY: 25,
  };
  for (const [name, errno] of Object.entries(names)) assert.equal(ioctl({ result: -errno }).result, name);
  assert.deepEqual([0, 1, 17, 2 ** 31 - 1].map(resultName), ['ok', 'ok', 'ok', 'ok']);
  assert.deepEqual([-11, -15, -95, -117].map(resultName), ['EAGAIN', 'ENOTBLK', 'EOPNOTSUPP', 'EUCLEAN']);
});

test('every errno that the C library names has a name of that number', () => {
  const numbers = constants.errno as Readonly<Record<string, number>>;
  for (const [name, errno] of Object.entries(numbers)) {
    assert.equal(numbers[resultName(-errno)], errno, `${name}: ${resultName(-errno)}`);
  }
});

test('an errno of the kernel’s own is a number', () => {
  for (const errno of [512, 515, 524, 4095]) assert.equal(resultName(-errno), `errno ${errno}`);
});

test('without an attached file there is neither backing nor config', () => {
  const entry = ioctl({ command: LOOP_COMMAND.LOOP_CLR_FD, after: unboundState() }, undefined, LIFE);
  assert.equal('backing' in entry || 'config' in entry, false);
});

test('what does not carry the path has it from the life, and none if nobody saw it', () => {
  const command = LOOP_COMMAND.LOOP_GET_STATUS64;
  assert.equal(ioctl({ command }, undefined, LIFE).backing?.path, '/srv/disk.img');
  assert.equal(ioctl({ command }, '/srv/new.img', LIFE).backing?.path, '/srv/new.img');
  const unseen = { ...LIFE, backing: { ...LIFE.backing, path: '' } };
  for (const life of [undefined, unseen])
    assert.equal('path' in (ioctl({ command }, undefined, life).backing ?? {}), false);
});

test('the life is the one that the call led to, else the one before, else the registry’s', () => {
  const of = (after: bigint, diskseqBefore: bigint) =>
    ioctl({ after: configState({ diskseq: after }), diskseqBefore }).device?.diskseq;
  assert.deepEqual([of(12n, 11n), of(0n, 11n), of(0n, 0n)], [12n, 11n, 9n]);
});

test('a control ioctl that named no device has none', () => {
  const event = ioctlEvent({
    command: LOOP_COMMAND.LOOP_CTL_GET_FREE,
    result: -1,
    devno: 0,
    after: unboundState(),
  });
  const entry = entryOfEvent(event, undefined, undefined);
  assert.equal('device' in entry, false);
  assert.deepEqual([entry.command, entry.result], ['LOOP_CTL_GET_FREE', 'EPERM']);
});

test('a uevent says what happened to which life, who caused it, what the host gets and by which rule', () => {
  assert.deepEqual(entryOfEvent(ueventEvent({ diskseq: 10n }), DEVICE, LIFE), {
    bootNs: AT + 1n,
    kind: 'uevent',
    command: 'change',
    device: { ...DEVICE, diskseq: 10n },
    caller: caller(),
    owner: { after: CONTAINER },
    verdict: 'hide',
    rule: 'holder',
  });
  const delivered = ueventEvent({
    diskseq: 0n,
    verdict: VERDICT.DELIVER,
    rule: RULE.OBSERVE,
    action: UEVENT_ACTION.ADD,
  });
  const entry = entryOfEvent(delivered, DEVICE, undefined);
  assert.deepEqual([entry.command, entry.verdict, entry.rule], ['add', 'deliver', 'observe']);
  assert.equal(entry.device?.diskseq, 9n);
  assert.equal(entryOfEvent(ueventEvent({ action: 77 }), DEVICE, undefined).command, 'other');
});

test('the end of a life names that life, its file, who ended it, and who owned and owns the device', () => {
  const emitter = caller(INITIAL, { comm: 'umount' });
  const { record } = ueventEvent({ emitter, diskseq: 10n });
  assert.deepEqual(entryOfLifeEnd(record, { ...DEVICE, diskseq: 10n }, LIFE, INITIAL), {
    bootNs: AT + 1n,
    kind: 'life',
    command: 'release',
    device: DEVICE,
    caller: emitter,
    backing: LIFE.backing,
    owner: { before: CONTAINER, after: INITIAL },
  });
  const unseen = { ...LIFE, backing: { dev: 0, inode: 0n, path: '' } };
  assert.equal('backing' in entryOfLifeEnd(record, DEVICE, unseen, INITIAL), false);
});

test('every event names the container of whoever caused it', () => {
  for (const event of [ioctlEvent(), ueventEvent()])
    assert.equal(entryOfEvent(event, DEVICE, LIFE, WEB).container, WEB);
  assert.equal(entryOfLifeEnd(ueventEvent().record, DEVICE, LIFE, INITIAL, WEB).container, WEB);
  assert.equal('container' in entryOfEvent(ioctlEvent(), DEVICE, LIFE), false);
});

test('what was counted is told with how often, who was first, and the command and result of them all', () => {
  const { caller: first, ...entry } = entryOfAggregate(aggregateOf(), DEVICE, WEB);
  assert.equal(first?.pid, 100);
  assert.deepEqual(entry, {
    bootNs: AT + 900_000_000n,
    kind: 'aggregate',
    command: 'LOOP_GET_STATUS64',
    result: 'ENXIO',
    device: DEVICE,
    container: WEB,
    aggregate: {
      of: 'ioctl',
      count: 1000n,
      firstBootNs: AT,
      lastBootNs: AT + 900_000_000n,
      devices: 'one',
    },
  });
  const { command, verdict, result } = entryOfAggregate(
    aggregateOf({ of: 'uevent', command: UEVENT_ACTION.CHANGE, result: VERDICT.HIDE }),
    DEVICE,
  );
  assert.deepEqual([command, verdict, result], ['change', 'hide', undefined]);
  // The first's device is not that of all.
  const mixed = entryOfAggregate(aggregateOf({ isMixed: 1 }), DEVICE);
  assert.deepEqual([mixed.device, mixed.aggregate?.devices], [undefined, 'several']);
  assert.equal(entryOfAggregate(aggregateOf({ devno: 0 }), undefined).aggregate?.devices, 'none');
});
