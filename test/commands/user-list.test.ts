/** `top`: who has devices and who does something with them, a line each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { top } from '../../src/commands/top.js';
import { joinUsers } from '../../src/commands/user-list.js';
import type { ActivityReport, ActivityRow } from '../../src/sinks/activity.js';
import type { DeviceReport } from '../../src/web/agent-api.js';
import { deviceReport, freeDevice, hostDevice } from '../device-fixture.js';
import { WEB } from '../event-fixture.js';
import { type Run, runCommand } from './run-command.js';
import { assertHarmless, HOSTILE_NAMES } from './terminal.js';

const ZERO = { ioctls: 0, failures: 0, hiddenUevents: 0 };

function row(more: Partial<ActivityRow> = {}): ActivityRow {
  const counts = { ioctls: 5, failures: 1, hiddenUevents: 2 };
  return {
    container: null,
    userns: { id: 77n, inum: 4_026_532_101 },
    total: counts,
    perSecond: counts,
    lastBootNs: 1n,
    ...more,
  };
}

const HOST_ROW = row({ userns: { id: 3n, inum: 4_026_531_837 }, perSecond: ZERO });

function report(...rows: ActivityRow[]): ActivityReport {
  return { windowSeconds: 10, rows, forgotten: 0 };
}

function run(
  devices: readonly DeviceReport[],
  activity: ActivityReport,
  options: object = {},
  json = false,
): Promise<Run> {
  return runCommand(
    top,
    { request: { '/api/v1/devices': devices, '/api/v1/activity': activity } },
    { options, json },
  );
}

const rowsOf = ({ text }: Run): string[] =>
  text
    .split('\n')
    .slice(3)
    .map((line) => line.replace(/ +/g, ' '));

test('what a container has and does is one line, and so is what the host does', async () => {
  const devices = [deviceReport(), deviceReport({ name: 'loop7', orphan: true }), hostDevice(), freeDevice()];
  const activity = report(HOST_ROW, row({ container: WEB }));
  assert.deepEqual(rowsOf(await run(devices, activity)), [
    'docker/web 4026532101 2 2 5.0 1.0 2.0 5 1 2',
    'host - 1 1 0.0 0.0 0.0 5 1 2',
  ]);
});

test('outside of containers each user namespace is a line, also one that is only known by its uevents', () => {
  const users = joinUsers(
    [deviceReport({ container: null })],
    report(row({ userns: { id: 77n, inum: 0 } }), row({ userns: { id: 78n, inum: 4_026_532_200 } })),
  );
  assert.deepEqual(
    users.map(({ kind, userns, devices }) => [kind, userns?.inum, devices]),
    [
      ['userns', 4_026_532_101, 1],
      ['userns', 4_026_532_200, 0],
    ],
  );
});

test('who has nothing and does nothing is shown with --all only', async () => {
  const idle = row({ userns: { id: 78n, inum: 4_026_532_200 }, perSecond: ZERO });
  assert.deepEqual(rowsOf(await run([freeDevice()], report(idle))), []);
  assert.equal(rowsOf(await run([freeDevice()], report(idle), { all: true })).length, 2);
});

test('sorts by what is asked for, the most first', async () => {
  const busy = row({ userns: { id: 78n, inum: 4_026_532_200 }, perSecond: { ...ZERO, ioctls: 9 } });
  const first = async (sort?: string) =>
    rowsOf(await run([], report(row(), busy), { sort }))[0]?.split(' ')[1];
  assert.equal(await first(), '4026532200');
  assert.equal(await first('fail/s'), '4026532101');
  assert.equal(await first('WHO'), '4026532101');
  await assert.rejects(first('NONSENSE'), { code: 'ERR_USAGE' });
});

test('--json is a list of users', async () => {
  const [text] = (await run([deviceReport()], report(row({ container: WEB })), {}, true)).printed;
  const [user, ...others] = JSON.parse(String(text));
  assert.deepEqual(
    [others, user.kind, user.container.name, user.devices, user.perSecond.ioctls],
    [[], 'container', 'web', 1, 5],
  );
});

test('numbers that are none are refused', async () => {
  for (const options of [
    { iterations: '0' },
    { iterations: 'x' },
    { delay: '0' },
    { delay: '-1' },
    { delay: 'x' },
  ])
    await assert.rejects(run([], report(), options), { code: 'ERR_USAGE' }, JSON.stringify(options));
});

test('hostile names never reach the terminal raw', async () => {
  for (const [what, name] of Object.entries(HOSTILE_NAMES)) {
    const container = { ...WEB, id: name, name, pod: name };
    const { text } = await run([], report(row({ container })), { output: '+CONTAINER-ID,POD' });
    assertHarmless(text, 4, what);
  }
});
