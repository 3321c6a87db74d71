import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRegistry, type Device, type Life } from '../../src/devices/registry.js';
import { LOOP_COMMAND, LOOP_STATE, RULE, UEVENT_ACTION, VERDICT } from '../../src/kernel/abi.js';
import { handOverOf, handOversOfScope } from '../../src/policy/hand-over.js';
import { CONTAINER, caller, INITIAL, ioctlEvent, LOOP3, ueventEvent } from '../event-fixture.js';

const OTHER_CONTAINER = CONTAINER + 1n;
const NOBODY = 0n;

function device(host: Partial<Device['host']> = {}): Device {
  return {
    devno: LOOP3,
    name: 'loop3',
    diskseq: 9n,
    life: undefined,
    host: { sawDevice: false, sawLife: false, ...host },
  };
}

const life = (holder: bigint): Life => ({
  diskseq: 9n,
  holder,
  caller: caller(holder),
  container: undefined,
  backing: { dev: 1, inode: 2n, path: '/srv/disk.img' },
  config: { offset: 0n, sizelimit: 0n, flags: 0, blockSize: 512 },
  beganBootNs: 1n,
});

/** A LOOP_CONFIGURE by the host of a device that a container made, unless told otherwise. */
const configuredBy = (more: Parameters<typeof ioctlEvent>[0] = {}) =>
  ioctlEvent({ ownerBefore: CONTAINER, ownerAfter: INITIAL, caller: caller(INITIAL), ...more });

test('the host attaches a file to a container’s device whose add it never got: it is told of it', () => {
  for (const command of [LOOP_COMMAND.LOOP_CONFIGURE, LOOP_COMMAND.LOOP_SET_FD]) {
    const subject = device();
    const change = { device: subject, ended: undefined };
    assert.deepEqual(
      handOverOf(configuredBy({ command }), change, () => CONTAINER),
      {
        device: subject,
        action: 'add',
      },
    );
  }
});

test('nothing is handed over when a file is attached', () => {
  const cases = {
    'to a device that the host knows': [configuredBy(), { sawDevice: true }],
    'in vain': [configuredBy({ result: -16 }), {}],
    'by a container': [configuredBy({ ownerAfter: OTHER_CONTAINER }), {}],
    'by the host, to a device of its own': [configuredBy({ ownerBefore: INITIAL }), {}],
    'by the host, to a device of nobody': [configuredBy({ ownerBefore: NOBODY }), {}],
    'long ago': [configuredBy({ command: LOOP_COMMAND.LOOP_SET_STATUS64 }), {}],
    'and it is the container that asks': [configuredBy({ command: LOOP_COMMAND.LOOP_GET_STATUS64 }), {}],
  } as const;
  for (const [name, [event, host]] of Object.entries(cases)) {
    assert.equal(
      handOverOf(event, { device: device(host), ended: undefined }, () => CONTAINER),
      undefined,
      name,
    );
  }
});

const END = ueventEvent({ state: LOOP_STATE.RUNDOWN, holderEnded: CONTAINER });
const DETACHED = ioctlEvent({ command: LOOP_COMMAND.LOOP_CLR_FD, ownerAfter: INITIAL });

test('a container lets go of a host’s device of whose life the host was shown something: it is told', () => {
  for (const event of [END, DETACHED]) {
    for (const creator of [INITIAL, NOBODY]) {
      const subject = device({ sawDevice: true, sawLife: true });
      const handOver = handOverOf(event, { device: subject, ended: life(CONTAINER) }, () => creator);
      assert.deepEqual(handOver, { device: subject, action: 'change' });
    }
  }
});

test('nothing is handed over at the end of a life', () => {
  const cases = {
    'that was hidden from its first event to its last': [CONTAINER, INITIAL, { sawDevice: true }],
    'on a device that a container made': [CONTAINER, CONTAINER, { sawDevice: true, sawLife: true }],
    'on a device that another container made': [
      CONTAINER,
      OTHER_CONTAINER,
      { sawDevice: true, sawLife: true },
    ],
    'of the host': [INITIAL, INITIAL, { sawDevice: true, sawLife: true }],
    'of nobody': [NOBODY, INITIAL, { sawDevice: true, sawLife: true }],
  } as const;
  for (const [name, [holder, creator, host]] of Object.entries(cases)) {
    for (const event of [END, DETACHED]) {
      const change = { device: device(host), ended: life(holder) };
      assert.equal(
        handOverOf(event, change, () => creator),
        undefined,
        name,
      );
    }
  }
});

test('nothing is handed over when no life ended, or of a device that is not known', () => {
  const subject = device({ sawDevice: true, sawLife: true });
  for (const event of [END, DETACHED]) {
    assert.equal(
      handOverOf(event, { device: subject, ended: undefined }, () => INITIAL),
      undefined,
    );
    assert.equal(
      handOverOf(event, { device: undefined, ended: undefined }, () => INITIAL),
      undefined,
    );
  }
});

/** Takes the events through a registry, as the agent does; the hand-over after the last. */
function handOverAfter(...events: Parameters<typeof handOverOf>[0][]) {
  const registry = createRegistry(0);
  return events.map((event) => handOverOf(event, registry.apply(event), () => INITIAL)?.action).at(-1);
}

const SHOWN = ueventEvent({ verdict: VERDICT.DELIVER, rule: RULE.OBSERVE });
const HIDDEN = ueventEvent();

test('a life that began while the filter was off is corrected when it ends hidden', () => {
  assert.equal(handOverAfter(SHOWN, ioctlEvent(), END), 'change');
  assert.equal(handOverAfter(HIDDEN, ioctlEvent(), END), undefined);
});

test('a correction is made once', () => {
  const answer = ueventEvent({
    verdict: VERDICT.DELIVER,
    rule: RULE.INITIAL_OWNER,
    owner: INITIAL,
    synthetic: 1,
  });
  assert.equal(handOverAfter(SHOWN, ioctlEvent(), END, answer, HIDDEN, ioctlEvent(), END), undefined);
  const added = ueventEvent({
    action: UEVENT_ACTION.ADD,
    verdict: VERDICT.DELIVER,
    rule: RULE.INITIAL_OWNER,
    owner: INITIAL,
    synthetic: 1,
  });
  assert.equal(handOverAfter(configuredBy()), 'add');
  assert.equal(handOverAfter(configuredBy(), added, DETACHED, configuredBy()), undefined);
});

test('a container’s life that is older than the agent, which the host was shown, is corrected', () => {
  const registry = createRegistry(0);
  const backing = {
    path: '/srv/disk.img',
    offset: 0,
    sizelimit: 0,
    autoclear: false,
    partscan: false,
    dio: false,
  };
  registry.seed(
    [
      {
        name: 'loop3',
        devno: LOOP3,
        diskseq: 9n,
        sizeBytes: 0,
        logicalBlockBytes: 512,
        readOnly: false,
        backing,
        partitions: [],
      },
    ],
    new Map(),
  );
  assert.equal(handOverOf(END, registry.apply(END), () => INITIAL)?.action, 'change');
});

test('when rootful containers stop to be owners, the host is told of what they own, and of nothing else', () => {
  const container = (0x1fffn << 40n) + 7n;
  const entry = {
    creator: NOBODY,
    holder: NOBODY,
    holderDiskseq: 9n,
    pending: NOBODY,
    pendingToken: 0n,
    loopAddress: 0n,
    lastHolder: NOBODY,
    releasedBootNs: 0n,
    stacked: 0n,
    links: 0,
    stack: 0,
    hostKnows: 0,
  };
  const made = { ...device(), devno: 1 };
  const held = { ...device({ sawDevice: true }), devno: 2, life: life(container) };
  const others = [3, 4, 5].map((devno) => ({ ...device(), devno }));
  const owners = new Map([
    [1, { ...entry, creator: container }],
    [2, { ...entry, creator: INITIAL, holder: container }],
    [3, { ...entry, creator: CONTAINER }],
    [4, { ...entry, creator: INITIAL }],
  ]);
  assert.deepEqual(handOversOfScope([made, held, ...others], owners), [
    { device: made, action: 'add' },
    { device: held, action: 'change' },
  ]);
});
