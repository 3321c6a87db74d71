/** The verdict on real uevent texts, by the real programs, without a socket and without a device. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { devnoOf, LOOP_MAJOR } from '../../src/devices/devno.js';
import { RULE, VERDICT } from '../../src/kernel/abi.js';
import { readCounters } from '../../src/kernel/counters.js';
import { loopPartShift } from '../../src/kernel/settings.js';
import { CONTAINER, INITIAL } from '../event-fixture.js';
import {
  deliver,
  forgetOwner,
  ownerEntry,
  programs,
  setMode,
  setOwner,
  TEXT_MAX_BYTES,
  ueventText,
} from './uevent-programs.js';

/** Numbers that no loop device of this host has: the programs must not find one in the kernel. */
const OWNED = 813;
const UNOWNED = 812;
const devnoOfLoop = (number: number): number => devnoOf(LOOP_MAJOR, number << loopPartShift());
const diskPath = (number: number | string): string => `/devices/virtual/block/loop${number}`;
const bdiPath = (minor: number | string): string => `/devices/virtual/bdi/${LOOP_MAJOR}:${minor}`;

beforeEach(() => {
  setMode('hide');
  setOwner(devnoOfLoop(OWNED), { creator: INITIAL, holder: CONTAINER });
  forgetOwner(devnoOfLoop(UNOWNED));
});

const ABOUT_OWNED: Record<string, string> = {
  'the disk': diskPath(OWNED),
  'a partition': `${diskPath(OWNED)}/loop${OWNED}p1`,
  'a partition with a name of any length': `${diskPath(OWNED)}/${'p'.repeat(400)}`,
  'a queue of the disk': `${diskPath(OWNED)}/mq/0`,
  'its bdi': bdiPath(OWNED << loopPartShift()),
};

const NOT_ABOUT_OWNED: Record<string, string> = {
  'a disk that nobody owns': diskPath(UNOWNED),
  'a disk whose number begins with the owned one’s': diskPath(`${OWNED}0`),
  'a disk whose number the owned one’s begins with': diskPath(Math.floor(OWNED / 10)),
  'a partition below a disk that nobody owns, named after the owned one': `${diskPath(UNOWNED)}/loop${OWNED}`,
  'the control device': '/devices/virtual/misc/loop-control',
  'a disk without a number': diskPath(''),
  'a disk whose number is none': diskPath('x'),
  'a number with more after it': diskPath(`${OWNED}x`),
  'a number with a sign': diskPath(`-${OWNED}`),
  'a number with a space': diskPath(` ${OWNED}`),
  'a number beyond all minors': diskPath(2 ** 20 + OWNED),
  'a number that is the owned one’s in 32 bits': diskPath(2 ** 32 + OWNED),
  'a number that is the owned one’s in 64 bits': diskPath(String(2n ** 64n + BigInt(OWNED))),
  'a number of 200 digits': diskPath('1'.repeat(200)),
  'a bdi of another major': `/devices/virtual/bdi/8:${OWNED << loopPartShift()}`,
  'a bdi of a longer major': `/devices/virtual/bdi/77:${OWNED << loopPartShift()}`,
  'a bdi of another minor': bdiPath((OWNED << loopPartShift()) + 1),
  'something below the owned one’s bdi': `${bdiPath(OWNED << loopPartShift())}/x`,
  'a path that only ends like it': `/devices/pci0000:00${diskPath(OWNED)}`,
  'a path that only begins like it': '/devices/virtual/block/loo',
  'another subsystem’s device of that name': `/devices/virtual/net/loop${OWNED}`,
  'a module': '/module/loop',
  'the root': '/',
};

for (const [name, path] of Object.entries(ABOUT_OWNED)) {
  test(`hides ${name} of a container from the host`, () => {
    for (const action of ['add', 'remove', 'change', 'move', 'online', 'offline', 'bind', 'unbind']) {
      // A kernel `add` of the disk itself would begin a new device.
      if (action === 'add' && (path === ABOUT_OWNED['the disk'] || path.startsWith('/devices/virtual/bdi')))
        continue;
      assert.equal(deliver(ueventText({ action, path })), 'hidden', action);
    }
  });
}

for (const [name, path] of Object.entries(NOT_ABOUT_OWNED)) {
  test(`delivers ${name}`, () => {
    for (const action of ['add', 'remove', 'change']) {
      assert.equal(deliver(ueventText({ action, path })), 'delivered', action);
    }
  });
}

test('decides by the owner: the holder before the creator, the host’s is delivered', () => {
  const devno = devnoOfLoop(OWNED);
  const cases = [
    [{ creator: INITIAL, holder: CONTAINER }, 'hidden'],
    [{ creator: CONTAINER }, 'hidden'],
    [{ creator: CONTAINER, holder: CONTAINER + 1n }, 'hidden'],
    [{ holder: CONTAINER }, 'hidden'],
    [{ creator: CONTAINER, holder: INITIAL }, 'delivered'],
    [{ creator: INITIAL }, 'delivered'],
    [{ holder: INITIAL }, 'delivered'],
    [{}, 'delivered'],
    // Withdrawn or not yet confirmed, and no device to see whether it is attached.
    [{ creator: INITIAL, pending: CONTAINER }, 'delivered'],
    // A life that is over; the echo is only what udevd writes.
    [{ creator: INITIAL, lastHolder: CONTAINER }, 'delivered'],
  ] as const;
  for (const [entry, expected] of cases) {
    setOwner(devno, entry);
    assert.equal(deliver(ueventText({ path: diskPath(OWNED) })), expected, `${Object.entries(entry)}`);
  }
  forgetOwner(devno);
  assert.equal(deliver(ueventText({ path: diskPath(OWNED) })), 'delivered');
});

test('a synthetic event of a container’s device is hidden like one of the kernel', () => {
  const fields = ['SYNTH_UUID=0'];
  assert.equal(deliver(ueventText({ path: diskPath(OWNED), fields })), 'hidden');
  assert.equal(deliver(ueventText({ path: diskPath(OWNED), fields, action: 'add' })), 'hidden');
});

test('hides in the mode hide only', () => {
  for (const [mode, expected] of [
    ['off', 'delivered'],
    ['observe', 'delivered'],
    ['hide', 'hidden'],
  ] as const) {
    setMode(mode);
    assert.equal(deliver(ueventText({ path: diskPath(OWNED) })), expected, mode);
  }
});

test('counts each delivery under its verdict and its rule', () => {
  const count = (verdict: number, rule: number): number =>
    readCounters(programs.map('delivery_counts'))[verdict * Object.keys(RULE).length + rule] ?? 0;
  const cases = [
    [VERDICT.HIDE, RULE.HOLDER, () => deliver(ueventText({ path: diskPath(OWNED) }))],
    [VERDICT.DELIVER, RULE.UNKNOWN_OWNER, () => deliver(ueventText({ path: diskPath(UNOWNED) }))],
    [VERDICT.DELIVER, RULE.NOT_LOOP, () => deliver(ueventText({ path: '/devices/virtual/mem/null' }))],
    [VERDICT.DELIVER, RULE.NOT_LOOP, () => deliver('')],
  ] as const;
  for (const [verdict, rule, run] of cases) {
    const before = count(verdict, rule);
    run();
    assert.equal(count(verdict, rule), before + 1, `${verdict} ${rule}`);
  }
});

test('a kernel add makes a new device of its emitter, whoever owned the number before', () => {
  const devno = devnoOfLoop(OWNED);
  setOwner(devno, { creator: CONTAINER, holder: CONTAINER, pending: CONTAINER, lastHolder: CONTAINER });
  assert.equal(deliver(ueventText({ action: 'add', path: diskPath(OWNED) })), 'delivered');
  // This test runs in the initial user namespace.
  const { creator, holder, pending, lastHolder } = ownerEntry(devno) ?? {};
  assert.deepEqual([creator, holder, pending, lastHolder], [INITIAL, 0n, 0n, 0n]);
});

test('the add of a bdi, which comes before the disk’s, tells the creator too', () => {
  const devno = devnoOfLoop(UNOWNED);
  const path = bdiPath(UNOWNED << loopPartShift());
  assert.equal(deliver(ueventText({ action: 'add', path, subsystem: 'bdi' })), 'delivered');
  assert.equal(ownerEntry(devno)?.creator, INITIAL);
});

test('nothing but a kernel add of the disk or its bdi makes a device', () => {
  const others = {
    'an add that was written to sysfs': ueventText({
      action: 'add',
      path: diskPath(UNOWNED),
      fields: ['SYNTH_UUID=0'],
    }),
    'the add of a partition': ueventText({ action: 'add', path: `${diskPath(UNOWNED)}/loop${UNOWNED}p1` }),
    'a change': ueventText({ path: diskPath(UNOWNED) }),
    'a removal': ueventText({ action: 'remove', path: diskPath(UNOWNED) }),
    'an action that begins like add': ueventText({ action: 'added', path: diskPath(UNOWNED) }),
  };
  for (const [name, text] of Object.entries(others)) {
    assert.equal(deliver(text), 'delivered', name);
    assert.equal(ownerEntry(devnoOfLoop(UNOWNED)), undefined, name);
  }
});

test('what is no kernel uevent is delivered, whatever it names', () => {
  const path = diskPath(OWNED);
  const texts: Record<string, string> = {
    empty: '',
    'only NULs': '\0'.repeat(64),
    'no action': `@${path}\0`,
    'no @': `change${path}\0`,
    'an action longer than any': `changeeee@${path}\0`,
    'no path': 'change@\0',
    'a path that is not absolute': `change@${path.slice(1)}\0`,
    'a message of udevd': `libudev\0\xfe\xed\xca\xfe\0\0\0\x28DEVPATH=${path}\0SUBSYSTEM=block\0`,
    'the name later in the text': `change@/devices/virtual/mem/null\0DEVPATH=${path}\0SUBSYSTEM=block\0`,
    'the name after a NUL in the first string': `\0change@${path}\0`,
  };
  for (const [name, text] of Object.entries(texts)) assert.equal(deliver(text), 'delivered', name);
});

test('a text that ends too early is judged by what there is', () => {
  const text = ueventText({ path: diskPath(OWNED) });
  const named = `change@${diskPath(OWNED)}`.length;
  for (let length = 0; length <= text.length; length++) {
    assert.equal(deliver(text.slice(0, length)), length < named ? 'delivered' : 'hidden', String(length));
  }
});

test('an owned device is hidden however long or strange the rest of the text is', () => {
  const path = diskPath(OWNED);
  for (const rest of [
    'A'.repeat(3000),
    '\0'.repeat(3000),
    'A=\0'.repeat(1000),
    'SUBSYSTEM=bdi\0'.repeat(100),
    '\xff'.repeat(1500),
  ]) {
    assert.equal(deliver(`change@${path}\0${rest}`), 'hidden');
    assert.equal(deliver(`change@${path}/${rest.replaceAll('\0', '')}`), 'hidden');
  }
});

/** Does a text name the owned device, by a plain reading of lib/kobject_uevent.c's form? */
function namesOwned(text: Uint8Array): boolean {
  const [first = ''] = Buffer.from(text).toString('latin1').split('\0');
  const [, path = ''] = /^[^@]{1,7}@(\/.*)$/s.exec(first) ?? [];
  const disk = /^\/devices\/virtual\/block\/loop(\d{1,15})(?:\/|$)/.exec(path)?.[1];
  const bdi = /^\/devices\/virtual\/bdi\/7:(\d{1,15})$/.exec(path)?.[1];
  return Number(disk) === OWNED || Number(bdi) === OWNED << loopPartShift();
}

/** The kernel's own `add` teaches a creator: these texts must not. */
const teaches = (text: Uint8Array): boolean => Buffer.from(text).toString('latin1').startsWith('add@');

test('garbage of any length is delivered unless it names an owned device', () => {
  const piece = fc.oneof(
    fc.constantFrom('change', 'remove', 'add', '@', '/', '\0', `${OWNED}`, 'loop', 'p1', '7:', 'libudev'),
    fc.constantFrom(
      diskPath(OWNED),
      diskPath(''),
      bdiPath(''),
      `change@${diskPath('')}`,
      `change@${bdiPath('')}`,
    ),
    fc.string({ maxLength: 12 }),
    fc.nat().map(String),
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 8 }).map((pieces) => Buffer.from(pieces.join(''))),
    fc.uint8Array({ maxLength: 300 }),
  );
  fc.assert(
    fc.property(text, (bytes) => {
      fc.pre(!teaches(bytes));
      assert.equal(deliver(bytes), namesOwned(bytes) ? 'hidden' : 'delivered');
    }),
    { numRuns: 2000 },
  );
  for (const byte of [0, 0x40, 0x61, 0xff])
    assert.equal(deliver(Buffer.alloc(TEXT_MAX_BYTES, byte)), 'delivered');
});

test('every number is told from every other', () => {
  const number = fc.oneof(
    fc.nat({ max: 2 ** 20 - 1 }),
    fc.constantFrom(OWNED, OWNED - 1, OWNED + 1, OWNED * 10),
  );
  const below = fc.constantFrom('', '/loop1p1', '/x/y');
  fc.assert(
    fc.property(number, below, (at, rest) => {
      const expected = at === OWNED ? 'hidden' : 'delivered';
      assert.equal(deliver(ueventText({ path: diskPath(at) + rest })), expected);
    }),
    { numRuns: 500 },
  );
});
