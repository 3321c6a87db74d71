/** What the reaper does with what the kernel answers; the real kernel is in test/kernel/reaping.test.ts. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ReleaseCalls } from '../src/devices/device-release.js';
import type { Inventory } from '../src/devices/inventory.js';
import type { DeviceView } from '../src/devices/view.js';
import { createReaper } from '../src/reaper.js';
import type { AuditEntry } from '../src/sinks/audit-events.js';
import { deviceReport } from './device-fixture.js';

const orphan = (number: number, ownerId: bigint, more: Partial<DeviceView> = {}): DeviceView =>
  deviceReport({
    name: `loop${number}`,
    devno: `7:${number}`,
    orphan: true,
    owner: {
      class: 'userns',
      as: 'holder',
      userns: { id: ownerId, inum: 4_026_532_101, level: 1, ownerUid: 1000, alive: false },
      pidns: null,
    },
    ...more,
  });

/** A reaper of these orphans, with an hour that passes when told. `claim`: of the minor number. */
function stage(
  t: TestContext,
  orphans: DeviceView[],
  claim: (minor: number) => Promise<number>,
  open = new Map(),
) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const claimed: number[] = [];
  const lines: AuditEntry[] = [];
  const warnings: string[] = [];
  const calls: ReleaseCalls = {
    claimLoop: (_, minor) => {
      claimed.push(minor);
      return claim(minor);
    },
    releaseLoop: async (fd, detach) => {
      const at = orphans.findIndex(({ devno }) => devno === `7:${fd}`);
      if (detach) orphans.splice(at, 1);
      return { errno: 0, armed: false };
    },
    removeLoop: async () => 0,
  };
  const reaper = createReaper({
    mode: 'detach',
    graceMs: 0,
    inventory: { orphans: () => [...orphans] } as Inventory,
    openers: { read: () => open },
    ownerOf: () => 3n,
    nodes: { withNode: (disk, _, use) => use(`/dev/${disk}`) },
    calls,
    trail: { record: (entry) => void lines.push(entry), bootNow: () => 9n },
    log: {
      info: () => {},
      warn: (_: unknown, message?: string) => void warnings.push(message ?? ''),
    } as never,
  });
  t.after(() => reaper.stop());
  reaper.start();
  const pass = async (times: number, ms = 250): Promise<void> => {
    for (let time = 0; time < times; time++) {
      t.mock.timers.tick(ms);
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { reaper, claimed, lines, warnings, pass };
}

test('each orphan is detached once, with a line that says whose it was', async (t) => {
  const { reaper, lines, pass } = stage(t, [orphan(3, 77n), orphan(4, 78n)], async (minor) => minor);
  await pass(1);
  assert.equal(lines.length, 0, 'never at the first look');
  await pass(3);
  assert.deepEqual(reaper.counts(), { detached: 2, removed: 0, busy: 0, gone: 0, failed: 0 });
  const [first] = lines;
  assert.deepEqual(
    [first?.kind, first?.command, first?.rule, first?.owner, first?.backing?.path],
    ['agent', 'reap_detach', 'owner_gone', { before: 77n, after: 3n }, '/srv/disk.img'],
  );
});

test('what is open is not even claimed, and told once', async (t) => {
  const open = new Map([[(7 << 20) | 3, 1]]);
  const { reaper, claimed, warnings, pass } = stage(t, [orphan(3, 77n)], async (minor) => minor, open);
  await pass(8);
  assert.deepEqual([claimed, warnings], [[], ['an orphan cannot be reaped yet']]);
  assert.ok(reaper.counts().busy >= 1);
});

test('a try that ends in an error is a failure; that somebody else was first, or is there again, is none', async (t) => {
  const codes = ['EIO', 'ENXIO', 'ENODEV', 'ENOENT', 'EBUSY'];
  const all = codes.map((_, at) => orphan(at, BigInt(77 + at)));
  const { reaper, warnings, pass } = stage(t, all, (minor) =>
    Promise.reject(Object.assign(new Error('no'), { code: codes[minor] })),
  );
  await pass(2);
  assert.deepEqual(reaper.counts(), { detached: 0, removed: 0, busy: 1, gone: 3, failed: 1 });
  assert.equal(warnings.length, 2);
});

test('an owner that hangs a call gets no second one, and is nobody else’s trouble', async (t) => {
  const never = new Promise<number>(() => {});
  const all = [orphan(3, 77n), orphan(4, 77n), orphan(5, 78n)];
  const { reaper, claimed, pass } = stage(t, all, (minor) => (minor === 5 ? Promise.resolve(5) : never));
  await pass(2);
  assert.deepEqual(claimed, [3]);
  await pass(1, 10_000);
  await pass(50);
  assert.deepEqual(claimed, [3, 5]);
  assert.deepEqual(reaper.counts(), { detached: 1, removed: 0, busy: 0, gone: 0, failed: 1 });
});

test('with eight such owners reaping is over, and says so', async (t) => {
  const all = Array.from({ length: 12 }, (_, at) => orphan(at, BigInt(100 + at)));
  const { reaper, claimed, warnings, pass } = stage(t, all, () => new Promise<number>(() => {}));
  await pass(2);
  await pass(12, 10_000);
  await pass(50);
  assert.equal(claimed.length, 8);
  assert.equal(reaper.stuck(), 8);
  assert.deepEqual(warnings.at(-1), 'nothing is reaped any more: too many calls never returned');
});
