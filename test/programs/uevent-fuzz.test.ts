/** Uevents made up by the million: whatever the text, no event of the host's is hidden and none of a container's shown. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { devnoOf, LOOP_MAJOR } from '../../src/devices/devno.js';
import { writeOwnerEntry } from '../../src/kernel/abi.js';
import { BPFFS_MOUNT_POINT } from '../../src/kernel/pins.js';
import { loopPartShift } from '../../src/kernel/settings.js';
import { CONTAINER, INITIAL, NOBODY } from '../event-fixture.js';
import { defer } from '../support/defer.js';
import { FUZZED_UEVENTS } from '../support/scale.js';
import { buildTool } from '../support/tool.js';
import { deliver, programs, setMode, setOwner, ueventText } from './uevent-programs.js';

/** One of few digits, one of many; this host has neither. */
const NUMBERS = [813, 34_567];

interface FuzzReport {
  runs: number;
  hidden: number;
  mustHide: number;
  either: number;
  /** Texts with a wrong verdict: the first of them, and how many. */
  wrong: { expected: string; text: string }[];
  wrongs: number;
  /** Texts that the agent's listener would have kept. */
  queued: number;
}

test(`${FUZZED_UEVENTS} texts get the verdict that the kernel's own code says they must`, async (t) => {
  const folder = join(BPFFS_MOUNT_POINT, `loopwarden-fuzz-${process.pid}`);
  const fuzz = await buildTool(t, 'uevent-fuzz');
  mkdirSync(folder, { mode: 0o700 });
  defer(t, () => rmSync(folder, { recursive: true }));
  setMode('hide');
  const pins = ['delivery', 'emission', 'owners'].map((name) => join(folder, name));
  const [delivery = '', emission = '', owners = ''] = pins;
  programs.program('uevent_delivery_socket').pin(delivery);
  programs.program('uevent_emission_socket').pin(emission);
  programs.map('owners').pin(owners);
  const entry = writeOwnerEntry({ ...NOBODY, creator: INITIAL, holder: CONTAINER }).toString('hex');
  const shift = loopPartShift();
  const seed = process.env.LOOPWARDEN_TEST_SEED ?? String(Date.now());
  const fromMs = performance.now();
  const { stdout } = await promisify(execFile)(fuzz, [
    ...pins,
    entry,
    String(shift),
    seed,
    String(FUZZED_UEVENTS),
    ...NUMBERS.map(String),
  ]);
  const report = JSON.parse(stdout) as FuzzReport;
  const seconds = (performance.now() - fromMs) / 1000;
  const { wrong, ...counts } = report;
  t.diagnostic(`seed ${seed}, ${seconds.toFixed(1)} s: ${JSON.stringify(counts)}`);
  assert.deepEqual(
    wrong.map(({ expected, text }) => `must ${expected}: ${Buffer.from(text, 'hex').toString('latin1')}`),
    [],
  );
  assert.deepEqual([report.runs, report.wrongs, report.queued], [FUZZED_UEVENTS, 0, 0]);
  // It asks what it should: of each kind there was much.
  assert.ok(report.mustHide > FUZZED_UEVENTS / 20 && report.either < FUZZED_UEVENTS / 4, stdout);
  assert.ok(report.runs - report.hidden > FUZZED_UEVENTS / 4);
  // And the programs are as good as new.
  setOwner(devnoOf(LOOP_MAJOR, (NUMBERS[0] ?? 0) << shift), { creator: INITIAL, holder: CONTAINER });
  assert.equal(deliver(ueventText({ path: `/devices/virtual/block/loop${NUMBERS[0]}` })), 'hidden');
  assert.equal(deliver(ueventText({ path: '/devices/virtual/net/lo', subsystem: 'net' })), 'delivered');
});
