import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceView } from '../../src/devices/view.js';
import { createReaping } from '../../src/policy/reaping.js';
import { deviceReport } from '../device-fixture.js';

const orphan = (more: Partial<DeviceView> = {}): DeviceView => deviceReport({ orphan: true, ...more });
const names = (devices: readonly DeviceView[]): string[] => devices.map(({ name }) => name);

test('an orphan is due after its grace, and never at first sight', () => {
  const reaping = createReaping({ mode: 'detach', graceMs: 1000 });
  assert.deepEqual(reaping.due([orphan()], 0), []);
  assert.deepEqual(reaping.due([orphan()], 999), []);
  assert.deepEqual(names(reaping.due([orphan()], 1000)), ['loop3']);
  const atOnce = createReaping({ mode: 'detach', graceMs: 0 });
  assert.deepEqual(atOnce.due([orphan()], 0), []);
  assert.equal(atOnce.due([orphan()], 0).length, 1);
});

test('whose owner was seen alive meanwhile, or who has another life or owner, has its whole grace again', () => {
  const others: (readonly DeviceView[])[] = [
    [],
    [orphan({ diskseq: 10n })],
    [
      orphan({
        owner: {
          class: 'userns',
          as: 'holder',
          userns: { id: 78n, inum: 4_026_532_101, level: 1, ownerUid: 1000, alive: false },
          pidns: null,
        },
      }),
    ],
  ];
  for (const other of others) {
    const reaping = createReaping({ mode: 'detach', graceMs: 1000 });
    reaping.due([orphan()], 0);
    assert.deepEqual(reaping.due(other, 900), []);
    assert.deepEqual(reaping.due([orphan()], 1100), []);
    assert.equal(reaping.due([orphan()], 2100).length, 1);
  }
});

test('a device without a file is only for detach-and-remove, and nothing is for off', () => {
  const unbound = orphan({ state: 'unbound', backing: null });
  const due = (mode: 'off' | 'detach' | 'detach-and-remove'): string[] => {
    const reaping = createReaping({ mode, graceMs: 0 });
    const all = [orphan({ name: 'loop4', devno: '7:4' }), unbound];
    reaping.due(all, 0);
    return names(reaping.due(all, 1));
  };
  assert.deepEqual(due('off'), []);
  assert.deepEqual(due('detach'), ['loop4']);
  assert.deepEqual(due('detach-and-remove'), ['loop4', 'loop3']);
});

test('a failure is told once for each reason, and tried again ever later', () => {
  const reaping = createReaping({ mode: 'detach', graceMs: 0 });
  reaping.due([orphan()], 0);
  assert.equal(reaping.fail(orphan(), 'busy', 0), true);
  assert.equal(reaping.fail(orphan(), 'busy', 0), false);
  assert.equal(reaping.fail(orphan(), 'EIO', 0), true);
  // Three failures: the next is after 1, 2 and 4 seconds.
  assert.deepEqual(reaping.due([orphan()], 3999), []);
  assert.equal(reaping.due([orphan()], 4000).length, 1);
  for (let again = 0; again < 100; again++) reaping.fail(orphan(), 'busy', 0);
  assert.equal(reaping.due([orphan()], 600_000).length, 1);
});
