import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { devnoOf } from '../../src/devices/devno.js';
import { type Change, createRegistry, type Registry } from '../../src/devices/registry.js';
import type { SysfsLoop } from '../../src/devices/sysfs.js';
import { LOOP_COMMAND, LOOP_STATE, UEVENT_ACTION, UEVENT_SUBSYSTEM, VERDICT } from '../../src/kernel/abi.js';
import {
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

const PATH = '/srv/disk.img';

/** A registry in which a container has attached a file to loop3. */
function withLife(): Registry {
  const registry = createRegistry(0);
  registry.apply(ioctlEvent({}, PATH));
  return registry;
}

const BOUND_LOOP: SysfsLoop = {
  name: 'loop3',
  devno: LOOP3,
  diskseq: 9n,
  sizeBytes: 1 << 20,
  logicalBlockBytes: 512,
  readOnly: true,
  backing: {
    path: '/srv/old.img',
    offset: 512,
    sizelimit: 1024,
    autoclear: true,
    partscan: true,
    dio: true,
  },
  partitions: ['loop3p1'],
};

/** A registry that found loop3 in sysfs with a file attached. */
function withAdoptedLife(): Registry {
  const registry = createRegistry(0);
  registry.seed([BOUND_LOOP], new Map());
  return registry;
}

test('a disk of another driver has the name that its events tell, and until then its number', () => {
  const registry = createRegistry(0);
  const devno = devnoOf(254, 3);
  const nameAfter = (more: Parameters<typeof ueventEvent>[0]): string | undefined =>
    registry.apply(ueventEvent({ devno, ...more })).device?.name;
  const bdi = { subsystem: UEVENT_SUBSYSTEM.BDI, wholeDisk: 0 };
  assert.equal(nameAfter({ ...bdi, action: UEVENT_ACTION.ADD }), '254:3');
  assert.equal(nameAfter({ action: UEVENT_ACTION.ADD, disk: 'dm-3' }), 'dm-3');
  assert.equal(nameAfter({ wholeDisk: 0, action: UEVENT_ACTION.ADD, disk: 'dm-3/dm-3p1' }), 'dm-3');
  assert.equal(nameAfter({ ...bdi, action: UEVENT_ACTION.REMOVE }), 'dm-3');
  assert.equal(nameAfter({ action: UEVENT_ACTION.REMOVE, disk: 'dm-3' }), 'dm-3');
  assert.equal(registry.size(), 0);
});

const lifeIn = (registry: Registry) => registry.get(LOOP3)?.life;

/** __loop_clr_fd's `change`, as BPF reports it for a life whose holder it knows. */
const END = { state: LOOP_STATE.RUNDOWN, holderEnded: CONTAINER };

for (const command of ['LOOP_CONFIGURE', 'LOOP_SET_FD'] as const) {
  test(`${command} begins a life`, () => {
    const registry = createRegistry(0);
    const after = configState({ flags: 5 });
    const change = registry.apply(ioctlEvent({ command: LOOP_COMMAND[command], after }, PATH), WEB);
    assert.deepEqual(change, { device: registry.get(LOOP3), ended: undefined });
    assert.deepEqual(registry.get(LOOP3), {
      devno: LOOP3,
      name: 'loop3',
      diskseq: 9n,
      life: {
        diskseq: 9n,
        holder: CONTAINER,
        caller: caller(),
        container: WEB,
        backing: { dev: (8 << 20) | 1, inode: 42n, path: PATH },
        config: { offset: 4096n, sizelimit: 65_536n, flags: 5, blockSize: 512 },
        beganBootNs: 5_000_000_000n,
      },
      host: { sawDevice: false, sawLife: false },
    });
  });
}

test('a life ends by every route, once, and the one that ended is told', () => {
  const routes: Record<string, (registry: Registry) => Change> = {
    'LOOP_CLR_FD that detaches at once': (registry) =>
      registry.apply(ioctlEvent({ command: LOOP_COMMAND.LOOP_CLR_FD, after: unboundState() })),
    'the change of the last close': (registry) => registry.apply(ueventEvent(END)),
    'the change of the last close, of a holder that BPF forgot': (registry) =>
      registry.apply(ueventEvent({ state: LOOP_STATE.RUNDOWN, holderEnded: 0n })),
    'the removal of the device': (registry) =>
      registry.apply(ueventEvent({ action: UEVENT_ACTION.REMOVE, state: LOOP_STATE.UNBOUND })),
  };
  for (const [name, end] of Object.entries(routes)) {
    const registry = withLife();
    const life = lifeIn(registry);
    assert.ok(life, name);
    assert.deepEqual(end(registry).ended, life, name);
    assert.equal(lifeIn(registry), undefined, name);
    assert.equal(end(registry).ended, undefined, `${name}, again`);
  }
});

test('LOOP_CLR_FD of a device that others hold open ends nothing until its last close', () => {
  for (const state of [LOOP_STATE.BOUND, LOOP_STATE.RUNDOWN]) {
    const registry = withLife();
    const after = configState({ state, flags: 4 });
    const { ended } = registry.apply(ioctlEvent({ command: LOOP_COMMAND.LOOP_CLR_FD, after }));
    assert.equal(ended, undefined);
    assert.equal(lifeIn(registry)?.config.flags, 4);
    assert.equal(registry.apply(ueventEvent(END)).ended?.holder, CONTAINER);
  }
});

test('a change that is not the end of the life leaves it', () => {
  const others = {
    'a change of the bound device': { state: LOOP_STATE.BOUND },
    'one that was written to sysfs meanwhile': { state: LOOP_STATE.RUNDOWN, synthetic: 1 },
    'one of its partition': { state: LOOP_STATE.RUNDOWN, wholeDisk: 0 },
    'one of its bdi': { state: LOOP_STATE.RUNDOWN, wholeDisk: 0, subsystem: UEVENT_SUBSYSTEM.BDI },
    'the removal of its partition': { action: UEVENT_ACTION.REMOVE, wholeDisk: 0 },
    'the add of its partition': { action: UEVENT_ACTION.ADD, wholeDisk: 0, state: LOOP_STATE.RUNDOWN },
  };
  for (const [name, record] of Object.entries(others)) {
    const registry = withLife();
    assert.equal(registry.apply(ueventEvent(record)).ended, undefined, name);
    assert.equal(lifeIn(registry)?.holder, CONTAINER, name);
  }
});

test('a new life replaces one whose end was lost', () => {
  const registry = withLife();
  registry.apply(
    ioctlEvent({ caller: caller(INITIAL), after: configState({ diskseq: 11n }) }, '/srv/new.img'),
  );
  assert.equal(lifeIn(registry)?.holder, INITIAL);
  assert.equal(lifeIn(registry)?.backing.path, '/srv/new.img');
  assert.equal(registry.get(LOOP3)?.diskseq, 11n);
});

test('LOOP_CTL_REMOVE, the remove uevent, or both end the device', () => {
  const remove = ioctlEvent({
    command: LOOP_COMMAND.LOOP_CTL_REMOVE,
    diskseqBefore: 0n,
    after: unboundState({ diskseq: 0n }),
  });
  const gone = ueventEvent({ action: UEVENT_ACTION.REMOVE, diskseq: 10n });
  for (const events of [[remove], [gone], [gone, remove], [remove, gone]]) {
    const registry = withLife();
    for (const event of events) registry.apply(event);
    assert.deepEqual([registry.size(), registry.get(LOOP3)], [0, undefined]);
  }
});

test('LOOP_CTL_REMOVE, which returns after the remove uevent, still names the life it ended', () => {
  const registry = withLife();
  registry.apply(ueventEvent({ action: UEVENT_ACTION.REMOVE, diskseq: 10n }));
  const { device } = registry.apply(
    ioctlEvent({
      command: LOOP_COMMAND.LOOP_CTL_REMOVE,
      diskseqBefore: 0n,
      after: unboundState({ diskseq: 0n }),
    }),
  );
  assert.equal(device?.diskseq, 10n);
  assert.equal(registry.size(), 0);
});

test('a device of the same number is a new one', () => {
  const registry = withLife();
  registry.apply(ueventEvent({ action: UEVENT_ACTION.REMOVE }));
  registry.apply(ueventEvent({ action: UEVENT_ACTION.ADD, diskseq: 20n }));
  assert.deepEqual(registry.get(LOOP3), {
    devno: LOOP3,
    name: 'loop3',
    diskseq: 20n,
    life: undefined,
    host: { sawDevice: false, sawLife: false },
  });
});

test('a failed ioctl changes nothing of a known device but the number of its life', () => {
  for (const command of Object.values(LOOP_COMMAND)) {
    const registry = withLife();
    const before = structuredClone(registry.get(LOOP3));
    const after = configState({ offset: 1n, backingInode: 1n, state: LOOP_STATE.UNBOUND });
    const change = registry.apply(
      ioctlEvent({ command, result: -16, after, caller: caller(INITIAL) }, '/other'),
    );
    assert.deepEqual(registry.get(LOOP3), before, String(command));
    assert.deepEqual(change, { device: registry.get(LOOP3), ended: undefined }, String(command));
  }
});

test('numbers that a caller made up do not grow the registry', () => {
  const registry = createRegistry(0);
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(LOOP_COMMAND)),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.integer({ min: -4095, max: -1 }),
      (command, devno, result) => {
        const change = registry.apply(ioctlEvent({ command, devno, result }));
        assert.deepEqual(change, { device: undefined, ended: undefined });
      },
    ),
  );
  const removal = ioctlEvent({ command: LOOP_COMMAND.LOOP_CTL_REMOVE, devno: devnoOf(7, 999) });
  assert.equal(registry.apply(removal).device?.name, 'loop999');
  registry.apply(ueventEvent({ action: UEVENT_ACTION.REMOVE, devno: devnoOf(7, 998) }));
  assert.equal(registry.size(), 0);
});

test('LOOP_CTL_ADD and LOOP_CTL_GET_FREE make a device known, a failed GET_FREE none', () => {
  const registry = createRegistry(4);
  const after = unboundState({ diskseq: 5n });
  registry.apply(
    ioctlEvent({ command: LOOP_COMMAND.LOOP_CTL_ADD, devno: devnoOf(7, 3 << 4), result: 3, after }),
  );
  registry.apply(
    ioctlEvent({ command: LOOP_COMMAND.LOOP_CTL_GET_FREE, devno: devnoOf(7, 4 << 4), result: 4, after }),
  );
  registry.apply(ioctlEvent({ command: LOOP_COMMAND.LOOP_CTL_GET_FREE, devno: 0, result: -1 }));
  assert.deepEqual(
    [3, 4].map((number) => registry.get(devnoOf(7, number << 4))?.name),
    ['loop3', 'loop4'],
  );
  assert.equal(registry.get(devnoOf(7, 3 << 4))?.diskseq, 5n);
  assert.equal(registry.size(), 2);
});

test('LOOP_CHANGE_FD changes the file of the life, and LOOP_SET_STATUS64 its place', () => {
  const registry = withLife();
  registry.apply(
    ioctlEvent(
      {
        command: LOOP_COMMAND.LOOP_CHANGE_FD,
        caller: caller(INITIAL),
        after: configState({ diskseq: 10n, backingInode: 43n }),
      },
      '/srv/other.img',
    ),
  );
  assert.deepEqual(lifeIn(registry)?.backing, { dev: (8 << 20) | 1, inode: 43n, path: '/srv/other.img' });
  // Who calls it does not become the holder.
  assert.equal(lifeIn(registry)?.holder, CONTAINER);
  assert.equal(registry.get(LOOP3)?.diskseq, 10n);
  registry.apply(
    ioctlEvent({
      command: LOOP_COMMAND.LOOP_SET_STATUS64,
      after: configState({ backingInode: 43n, offset: 8192n }),
    }),
  );
  assert.equal(lifeIn(registry)?.config.offset, 8192n);
  assert.equal(lifeIn(registry)?.backing.path, '/srv/other.img');
});

test('an ioctl of a device without a life does not make one up', () => {
  const registry = createRegistry(0);
  registry.apply(ioctlEvent({ command: LOOP_COMMAND.LOOP_GET_STATUS64, after: configState() }));
  registry.apply(ioctlEvent({ command: LOOP_COMMAND.LOOP_SET_CAPACITY, after: unboundState() }));
  assert.equal(lifeIn(registry), undefined);
  assert.equal(registry.size(), 1);
});

test('an ioctl that sees no file any more leaves the life as it was', () => {
  const registry = withLife();
  registry.apply(ioctlEvent({ command: LOOP_COMMAND.LOOP_GET_STATUS64, after: unboundState() }));
  assert.equal(lifeIn(registry)?.backing.path, PATH);
});

test('the host has seen a device only by an add that it got', () => {
  const seen = (verdict: number): boolean | undefined => {
    const registry = createRegistry(0);
    registry.apply(ueventEvent({ action: UEVENT_ACTION.ADD, verdict }));
    return registry.get(LOOP3)?.host.sawDevice;
  };
  assert.equal(seen(VERDICT.DELIVER), true);
  assert.equal(seen(VERDICT.HIDE), false);
});

test('the host has seen a container’s life only by a change that it got, until it is told of another', () => {
  const registry = withLife();
  const saw = () => registry.get(LOOP3)?.host.sawLife;
  registry.apply(ueventEvent({ verdict: VERDICT.HIDE }));
  assert.equal(saw(), false);
  registry.apply(ueventEvent({ verdict: VERDICT.DELIVER, wholeDisk: 0 }));
  registry.apply(ueventEvent({ verdict: VERDICT.DELIVER, subsystem: UEVENT_SUBSYSTEM.BDI }));
  assert.equal(saw(), false);
  registry.apply(ueventEvent({ verdict: VERDICT.DELIVER }));
  assert.equal(saw(), true);
  registry.apply(ueventEvent({ verdict: VERDICT.HIDE }));
  assert.equal(saw(), true);
  registry.apply(ueventEvent({ verdict: VERDICT.DELIVER, owner: INITIAL }));
  assert.equal(saw(), false);
});

test('what sysfs has is adopted: the life of a bound device, none of a free one', () => {
  const registry = createRegistry(0);
  registry.seed(
    [BOUND_LOOP, { ...BOUND_LOOP, name: 'loop4', devno: LOOP3 + 1, readOnly: false, backing: null }],
    new Map(),
  );
  assert.deepEqual(lifeIn(registry), {
    diskseq: 9n,
    holder: 0n,
    caller: undefined,
    container: undefined,
    backing: { dev: 0, inode: 0n, path: '/srv/old.img' },
    config: { offset: 512n, sizelimit: 1024n, flags: 1 | 4 | 8 | 16, blockSize: 0 },
    beganBootNs: 0n,
  });
  assert.deepEqual(registry.get(LOOP3)?.host, { sawDevice: true, sawLife: true });
  assert.deepEqual(registry.get(LOOP3 + 1), {
    devno: LOOP3 + 1,
    name: 'loop4',
    diskseq: 9n,
    life: undefined,
    host: { sawDevice: true, sawLife: false },
  });
});

test('a life older than the agent ends in the name of the holder that the owner map kept', () => {
  const registry = withAdoptedLife();
  const { ended } = registry.apply(ueventEvent(END));
  assert.equal(ended?.backing.path, '/srv/old.img');
  assert.equal(ended?.holder, CONTAINER);
});

test('a life older than the agent whose holder nobody knows ends all the same', () => {
  const registry = withAdoptedLife();
  const after = configState({ state: LOOP_STATE.RUNDOWN, flags: 4 });
  registry.apply(ioctlEvent({ command: LOOP_COMMAND.LOOP_CLR_FD, ownerBefore: 0n, ownerAfter: 0n, after }));
  // Without an entry in the owner map BPF cannot tell the state: it says unbound.
  const { ended } = registry.apply(
    ueventEvent({ state: LOOP_STATE.UNBOUND, owner: 0n, verdict: VERDICT.DELIVER }),
  );
  assert.equal(ended?.backing.path, '/srv/old.img');
  assert.equal(lifeIn(registry), undefined);
});

test('a change of a device of nobody ends no life that was not to end', () => {
  const registry = createRegistry(0);
  registry.seed(
    [{ ...BOUND_LOOP, backing: BOUND_LOOP.backing && { ...BOUND_LOOP.backing, autoclear: false } }],
    new Map(),
  );
  // LOOP_SET_CAPACITY sends one too.
  registry.apply(ueventEvent({ state: LOOP_STATE.UNBOUND, owner: 0n, verdict: VERDICT.DELIVER }));
  assert.equal(lifeIn(registry)?.backing.path, '/srv/old.img');
});

test('whatever comes in whatever order, there are no more devices than numbers', () => {
  const event = fc.oneof(
    fc
      .record({
        command: fc.constantFrom(...Object.values(LOOP_COMMAND)),
        devno: fc.integer({ min: 0, max: 3 }).map((number) => number && devnoOf(7, number)),
        result: fc.constantFrom(0, 1, -16),
        after: fc.constantFrom(configState(), unboundState()),
      })
      .map((record) => ioctlEvent(record)),
    fc
      .record({
        devno: fc.integer({ min: 1, max: 3 }).map((number) => devnoOf(7, number)),
        action: fc.constantFrom(...Object.values(UEVENT_ACTION)),
        state: fc.constantFrom(...Object.values(LOOP_STATE)),
        synthetic: fc.constantFrom(0, 1),
        wholeDisk: fc.constantFrom(0, 1),
      })
      .map((record) => ueventEvent(record)),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const registry = createRegistry(0);
      for (const each of events) {
        const { device, ended } = registry.apply(each);
        // A life ends on the device that the event is about, and is then no longer there.
        if (ended) assert.ok(device && device.life === undefined);
      }
      assert.ok(registry.size() <= 3);
    }),
  );
});

test('a life keeps the container of who attached the file, whoever comes later', () => {
  const registry = createRegistry(0);
  registry.apply(ioctlEvent({}, PATH), WEB);
  const other = { ...WEB, name: 'other' };
  registry.apply(ioctlEvent({ command: LOOP_COMMAND.LOOP_SET_STATUS64 }), other);
  registry.apply(ioctlEvent({ result: -16 }), other);
  registry.apply(ueventEvent(), other);
  assert.equal(lifeIn(registry)?.container, WEB);
  assert.equal(registry.apply(ueventEvent(END), other).ended?.container, WEB);
});
