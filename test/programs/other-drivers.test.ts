/** Uevents of other drivers' disks, by the real programs: known by their names where anybody owns them, else the host's. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { devnoOf } from '../../src/devices/devno.js';
import { type OwnerEntry, RULE, STACK_STATE, UEVENT_SUBSYSTEM, VERDICT } from '../../src/kernel/abi.js';
import { changeSettings } from '../../src/kernel/settings.js';
import { CONTAINER } from '../event-fixture.js';
import {
  deliver,
  emit,
  forgetDisk,
  forgetOwner,
  ownerEntry,
  programs,
  setDisk,
  setMode,
  setOwner,
  ueventText,
} from './uevent-programs.js';

const MAJOR = 254;
const DEVNO = devnoOf(MAJOR, 3);
const NAME = 'dm-3';
const path = (name: string): string => `/devices/virtual/block/${name}`;
const BDI = `/devices/virtual/bdi/${MAJOR}:3`;
/** As bpf/event.h has ids of containers without a user namespace (CONTAINER_IDS). */
const ROOTFUL = (0x1fffn << 40n) | 77n;
const STACKED: Partial<OwnerEntry> = { stacked: CONTAINER, links: 1, stack: STACK_STATE.LINKED };
const fields = [`MAJOR=${MAJOR}`, 'MINOR=3', `DEVNAME=${NAME}`, 'DEVTYPE=disk', 'DISKSEQ=41'];

beforeEach(() => {
  setMode('hide');
  setDisk(NAME, DEVNO);
  setOwner(DEVNO, STACKED);
});

test('hides a disk that stands on an owned one, what is beneath it, and its bdi', () => {
  for (const action of ['remove', 'change', 'move', 'online', 'offline', 'bind', 'unbind'])
    for (const about of [path(NAME), `${path(NAME)}/${NAME}p1`, `${path(NAME)}/${'x'.repeat(400)}`, BDI])
      assert.equal(deliver(ueventText({ action, path: about })), 'hidden', `${action} ${about}`);
  const [record] = emit(ueventText({ path: path(NAME), fields: ['DM_COOKIE=6344943', ...fields] }));
  const { devno, disk, dmCookie, owner, rule, verdict, diskseq, wholeDisk } = record ?? {};
  assert.deepEqual([devno, disk, dmCookie], [DEVNO, NAME, 6_344_943]);
  assert.deepEqual([owner, rule, verdict], [CONTAINER, RULE.STACKED, VERDICT.HIDE]);
  assert.deepEqual([diskseq, wholeDisk], [41n, 1]);
  const [bdi] = emit(ueventText({ path: BDI, subsystem: 'bdi' }));
  assert.deepEqual([bdi?.devno, bdi?.disk, bdi?.subsystem], [DEVNO, '', UEVENT_SUBSYSTEM.BDI]);
});

test('what stands on a rootful container’s device is hidden as that is: while hide.scope says so', () => {
  setOwner(DEVNO, { ...STACKED, stacked: ROOTFUL });
  const text = ueventText({ path: path(NAME), fields });
  for (const [scope, delivered, rule] of [
    ['container', 'hidden', RULE.STACKED],
    ['userns', 'delivered', RULE.INITIAL_OWNER],
  ] as const) {
    changeSettings(programs.map('settings'), { scope });
    assert.equal(deliver(text), delivered, scope);
    assert.deepEqual(
      emit(text).map(({ rule: told }) => told),
      [rule],
    );
  }
});

test('delivers what nobody owns, however much its name is like an owned one’s', () => {
  const names = [
    'dm-',
    'dm-33',
    'dm-4',
    'dm-3x',
    'xdm-3',
    'zram0',
    'md127',
    'nbd0',
    '',
    'd'.repeat(31),
    'd'.repeat(64),
  ];
  for (const about of [
    ...names.map(path),
    path(`dm-4/${NAME}`),
    `/devices/virtual/net/${NAME}`,
    `/devices/pci0000:00${path(NAME)}`,
    `/devices/virtual/bdi/${MAJOR}:33`,
    `/devices/virtual/bdi/${MAJOR}:3/x`,
    `/devices/virtual/bdi/2${MAJOR}:3`,
    `/devices/virtual/bdi/${MAJOR + 4096}:3`,
    // Of a mount without a disk (FUSE).
    '/devices/virtual/bdi/0:3',
    '/devices/virtual/bdi/:3',
    `/devices/virtual/bdi/${MAJOR}`,
  ])
    for (const action of ['add', 'change', 'remove']) {
      const text = ueventText({
        action,
        path: about,
        fields: about === path(NAME) ? [] : ['MAJOR=8', 'MINOR=0'],
      });
      assert.equal(deliver(text), 'delivered', about);
      assert.deepEqual(emit(text), [], about);
    }
});

test('a name is as long as a disk’s may be', () => {
  const longest = 'n'.repeat(31);
  setDisk(longest, DEVNO);
  assert.equal(deliver(ueventText({ path: path(longest) })), 'hidden');
  assert.equal(deliver(ueventText({ path: `${path(longest)}/p1` })), 'hidden');
  assert.equal(deliver(ueventText({ path: path(`${longest}n`) })), 'delivered');
  assert.equal(deliver(ueventText({ path: path(longest.slice(1)) })), 'delivered');
  forgetDisk(longest);
});

test('a kernel add by the host begins a device of the host’s, whoever had the number; no other event does', () => {
  const synthetic = ueventText({ action: 'add', path: path(NAME), fields: ['SYNTH_UUID=0', ...fields] });
  assert.equal(deliver(synthetic), 'hidden');
  assert.equal(deliver(ueventText({ action: 'add', path: `${path(NAME)}/${NAME}p1`, fields })), 'hidden');
  setOwner(DEVNO, { creator: CONTAINER });
  assert.equal(deliver(ueventText({ action: 'add', path: path(NAME), fields })), 'delivered');
  assert.equal(ownerEntry(DEVNO), undefined);
  assert.equal(deliver(ueventText({ path: path(NAME) })), 'delivered');
  setOwner(DEVNO, { creator: CONTAINER });
  assert.equal(deliver(ueventText({ action: 'add', path: BDI, subsystem: 'bdi' })), 'delivered');
  assert.equal(ownerEntry(DEVNO), undefined);
});

test('a disk that was linked before it is announced (5.16 to 6.1) stays hidden, and the host knows nothing of it', () => {
  setOwner(DEVNO, { ...STACKED, hostKnows: 1 });
  assert.equal(deliver(ueventText({ action: 'add', path: path(NAME), fields })), 'hidden');
  assert.deepEqual([ownerEntry(DEVNO)?.hostKnows, ownerEntry(DEVNO)?.links], [0, 1]);
});

test('the host hears of the end of what it was told of, and of nothing else', () => {
  const remove = (about: string, subsystem = 'block') =>
    deliver(ueventText({ action: 'remove', path: about, subsystem }));
  for (const stack of [STACK_STATE.LINKED, STACK_STATE.LEFT])
    for (const hostKnows of [0, 1]) {
      setOwner(DEVNO, { ...STACKED, stack, hostKnows });
      const expected = hostKnows ? 'delivered' : 'hidden';
      assert.deepEqual(
        [remove(path(NAME)), remove(BDI, 'bdi')],
        [expected, expected],
        `${stack} ${hostKnows}`,
      );
    }
  setOwner(DEVNO, { creator: CONTAINER, hostKnows: 1 });
  assert.equal(remove(path(NAME)), 'delivered');
});

test('what has left the owned disk is the host’s, which knows it from the first event on that it gets', () => {
  setOwner(DEVNO, { ...STACKED, stack: STACK_STATE.LEFT, links: 0 });
  assert.equal(deliver(ueventText({ path: path(NAME), fields: ['SYNTH_UUID=0'] })), 'delivered');
  emit(ueventText({ action: 'add', path: path(NAME), fields: ['SYNTH_UUID=0'] }));
  const { stack, hostKnows } = ownerEntry(DEVNO) ?? {};
  assert.deepEqual([stack, hostKnows], [STACK_STATE.NONE, 1]);
});

test('in other modes than hide the host is told, and so it hears of the end', () => {
  setMode('observe');
  emit(ueventText({ path: path(NAME) }));
  setMode('hide');
  assert.equal(ownerEntry(DEVNO)?.hostKnows, 1);
  assert.equal(deliver(ueventText({ path: path(NAME) })), 'hidden');
  assert.equal(deliver(ueventText({ action: 'remove', path: path(NAME) })), 'delivered');
});

test('a name never decides for another: any two differ', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9!_-]{0,30}$/).filter((each) => !each.startsWith('loop'));
  fc.assert(
    fc.property(name, name, (owned, other) => {
      setDisk(owned, DEVNO);
      assert.equal(deliver(ueventText({ path: path(owned) })), 'hidden');
      if (other !== owned && other !== NAME)
        assert.equal(deliver(ueventText({ path: path(other) })), 'delivered');
      forgetDisk(owned);
    }),
    { numRuns: 300 },
  );
  forgetOwner(DEVNO);
});
