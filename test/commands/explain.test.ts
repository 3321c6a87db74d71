/** `explain`: whose a device is, and the story of its lives. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { explain } from '../../src/commands/explain.js';
import { createError } from '../../src/errors.js';
import type { Aggregate } from '../../src/events/aggregates.js';
import type { Container } from '../../src/identity/container.js';
import { LOOP_COMMAND, UEVENT_ACTION, VERDICT } from '../../src/kernel/abi.js';
import { entryOfAggregate, entryOfEvent, entryOfLifeEnd } from '../../src/sinks/audit-events.js';
import { formatAuditLine } from '../../src/sinks/audit-line.js';
import type { AuditDevice } from '../../src/sinks/audit-record.js';
import type { DeviceReport } from '../../src/web/agent-api.js';
import { deviceReport, freeDevice, hostDevice } from '../device-fixture.js';
import {
  aggregateOf,
  CONTAINER,
  caller,
  INITIAL,
  ioctlEvent,
  LOOP3,
  ueventEvent,
  ueventRecord,
  unboundState,
  WEB,
} from '../event-fixture.js';
import { tempFolder } from '../support/temp-folder.js';
import { loadedWith, type Run, runCommand } from './run-command.js';
import { assertHarmless, HOSTILE_NAMES } from './terminal.js';

const DEVICE = { name: 'loop3', devno: LOOP3, diskseq: 9n };
const WALL = 1_700_000_000_000_000_000n;

const SESSION: Container = {
  runtime: 'systemd',
  id: 'session-3.scope',
  unit: 'session-3.scope',
  confidence: 'high',
  source: 'cgroup',
  cgroup: '/user.slice/user-0.slice/session-3.scope',
};

function lineOf(event: Parameters<typeof entryOfEvent>[0], container?: Container): string {
  return formatAuditLine({
    ...entryOfEvent(event, DEVICE, undefined, container),
    seq: 1,
    wallOffsetNs: WALL,
  });
}

const { record } = ioctlEvent();
const MADE = lineOf(
  ioctlEvent({
    command: LOOP_COMMAND.LOOP_CTL_ADD,
    ownerBefore: 0n,
    ownerAfter: INITIAL,
    caller: caller(INITIAL, { comm: 'modprobe' }),
    after: unboundState({ diskseq: 0n }),
  }),
);
const ATTACHED = lineOf(ioctlEvent({}, '/srv/disk.img'), WEB);
const HIDDEN = lineOf(ueventEvent(), WEB);
const BUSY = lineOf(
  ioctlEvent({
    command: LOOP_COMMAND.LOOP_CONFIGURE,
    result: -16,
    caller: caller(INITIAL),
    ownerBefore: CONTAINER,
  }),
);
const RELEASED = formatAuditLine({
  ...entryOfLifeEnd(
    ueventRecord({ emitter: caller(CONTAINER, { comm: 'umount' }) }),
    DEVICE,
    {
      diskseq: 9n,
      holder: CONTAINER,
      caller: caller(),
      container: WEB,
      backing: { dev: 1, inode: 1n, path: '/srv/disk.img' },
      config: { offset: 0n, sizelimit: 0n, flags: 0, blockSize: 512 },
      beganBootNs: 1n,
    },
    INITIAL,
    WEB,
  ),
  wallOffsetNs: WALL,
});
const OTHERS = ATTACHED.replace('"loop3"', '"loop33"');
const LIFE = [MADE, OTHERS, ATTACHED, HIDDEN, HIDDEN, BUSY, RELEASED];

function run(
  device: DeviceReport | Error | undefined,
  lines: readonly string[] | undefined = [],
  more: object = {},
): Promise<Run> {
  const request = device && { '/api/v1/devices/loop3': device };
  return runCommand(explain, { request, lines }, { args: ['/dev/loop3'], ...more });
}

const storyOf = ({ text }: Run): string[] =>
  text
    .split('\n')
    .slice(text.split('\n').indexOf('story') + 1)
    .map((line) => line.slice(23));

test('says whose a device is, what the host’s udev gets, and the rule', async () => {
  const { text, asked } = await run(deviceReport());
  assert.deepEqual(asked[0], ['GET', '/api/v1/devices/loop3']);
  assert.match(text, /^owner +user namespace 4026532101 \(id 77, of uid 1000, level 1\), as holder$/m);
  assert.match(text, /^host’s udev +gets no event of it$/m);
  assert.match(text, /^rule +holder: a user namespace attached its backing file$/m);
  assert.match(text, /^attached by +losetup \(pid 100, uid 100000\)$/m);
  const hosts = (await run(hostDevice())).text;
  assert.match(hosts, /^owner +the host, as holder$/m);
  assert.match(hosts, /^host’s udev +gets its events$/m);
  assert.match(hosts, /^attached by +not seen by this agent$/m);
  assert.match((await run(freeDevice())).text, /^attached by +nobody$/m);
  assert.match((await run(deviceReport({ orphan: true }))).text, /: an orphan/);
});

test('says of what stands on a container’s device what that is, by each way down', async () => {
  const { owner } = deviceReport();
  const on = [['dm-1', 'loop5p1', 'loop5'], ['loop6']];
  const { text } = await run(deviceReport({ backing: null, owner: { ...owner, as: 'stacked' }, on }));
  assert.match(text, /^stands on +dm-1 on loop5p1 on loop5; loop6$/m);
  assert.match(text, /^owner +user namespace .*\), as the owner of what it stands on$/m);
  assert.doesNotMatch(text, /^(backing file|attached by)/m);
});

test('says which container it is, who told, and how sure that is', async () => {
  const sentence = async (container: Container | null) =>
    /^container +(.*)$/m.exec((await run(deviceReport({ container }))).text)?.[1];
  assert.equal(
    await sentence({ ...WEB, pod: 'p', unit: 'u.scope', nested: { runtime: 'docker', id: 'ab'.repeat(32) } }),
    `docker web (id ${WEB.id}); pod p; unit u.scope; inside it, by its own account, docker/abababababab; ` +
      'told by: docker state file, high confidence',
  );
  assert.equal(await sentence(SESSION), 'systemd session-3.scope; told by: cgroup, high confidence');
  assert.equal(await sentence(null), 'not known');
});

test('tells the lives of the device in sentences with the rule behind each verdict, and of no other device', async () => {
  assert.equal(record.ownerAfter, CONTAINER);
  const web = 'losetup (pid 100, uid 100000) in docker/web';
  assert.deepEqual(storyOf(await run(deviceReport(), LIFE)), [
    'modprobe (pid 100, uid 0) of the host made the device, and is its creator',
    `${web} attached /srv/disk.img (from byte 4096, at most 65536 bytes): life 9 begins, owned by user namespace 4026532101`,
    'from now on the host’s udev gets none of its events (rule holder: a user namespace attached its backing file)',
    'uevent “change” was hidden from the host (rule holder: a user namespace attached its backing file) (2 times, until 22:13:25 UTC)',
    'losetup (pid 100, uid 0) of the host tried LOOP_CONFIGURE and got EBUSY: it has a file already, or is being used',
    'the last user (umount (pid 100, uid 100000) in docker/web) closed it, and the kernel let go of /srv/disk.img: life 9 ends',
  ]);
  const hosts = lineOf(ioctlEvent({ caller: caller(INITIAL), ownerAfter: INITIAL }, '/srv/disk.img'));
  assert.match(
    storyOf(await run(hostDevice(), [hosts]))[1] ?? '',
    /gets its events \(rule initial_owner: it belongs to the host /,
  );
});

test('says what was counted instead of recorded, how much of it, by whom, and of which devices', async () => {
  const counted = (more: Partial<Aggregate>, device: AuditDevice | null = DEVICE): string =>
    formatAuditLine({
      ...entryOfAggregate(aggregateOf(more), device ?? undefined, WEB),
      seq: 1,
      wallOffsetNs: WALL,
    });
  const second = 1_000_000_000n;
  const story = storyOf(
    await run(deviceReport(), [
      counted({}),
      counted({ count: 7n, lastBootNs: 8n * second }),
      counted({ isMixed: 1 }),
      counted({ of: 'uevent', command: UEVENT_ACTION.CHANGE, result: VERDICT.HIDE, count: 5n }),
      // Of another device, and of none.
      counted({}, { name: 'loop4', devno: LOOP3 + 1 }),
      counted({ command: LOOP_COMMAND.LOOP_CTL_GET_FREE, devno: 0 }, null),
    ]),
  );
  const who = 'were counted instead of recorded, the first by losetup (pid 100, uid 100000) in docker/web';
  assert.deepEqual(story, [
    `1007 calls of LOOP_GET_STATUS64 (ENXIO) ${who} (until 22:13:28 UTC)`,
    `1000 calls of LOOP_GET_STATUS64 (ENXIO) on several devices, this one perhaps among them, ${who}`,
    `5 uevents “change” (hide) ${who}`,
  ]);
});

test('a change of the filter counts from then on, and is told only within a life', async () => {
  const mode = (name: string) =>
    `{"time":"2023-11-14T22:13:24.000000000Z","kind":"agent","command":"filter_${name}","result":"ok"}`;
  const told = storyOf(await run(deviceReport(), [mode('observe'), ATTACHED, mode('hide')]));
  assert.equal(told.length, 3);
  assert.match(told[1] ?? '', /gets its events \(rule observe: /);
  assert.equal(told[2], 'filter.mode became hide');
});

test('without an agent the log tells the story; without that, too, the agent is missed', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  await assert.rejects(run(undefined, undefined, { loaded: loadedWith(path) }), {
    code: 'ERR_AGENT_NOT_RUNNING',
  });
  writeFileSync(path, `${LIFE.join('\n')}\n`);
  const { text } = await run(undefined, undefined, { loaded: loadedWith(path) });
  assert.match(text, /^story\n/);
  assert.match(text, /life 9 begins/);
  // A device that has gone.
  const gone = createError('ERR_NO_SUCH_DEVICE', { device: 'loop3' });
  assert.match((await run(gone, LIFE)).text, /life 9 ends/);
  await assert.rejects(run(gone, []), { code: 'ERR_NO_SUCH_DEVICE' });
});

test('--json has the report with the story, --no-story neither asks nor tells', async () => {
  const [document] = (await run(deviceReport(), LIFE, { json: true })).printed as [
    { name: string; story: { time: string; tone: string }[] },
  ];
  assert.equal(document.name, 'loop3');
  assert.deepEqual(
    document.story.map(({ tone }) => tone),
    ['plain', 'life', 'hidden', 'hidden', 'failed', 'life'],
  );
  assert.equal(document.story[1]?.time, '2023-11-14T22:13:25.000000000Z');
  const short = await run(deviceReport(), LIFE, { options: { story: false } });
  assert.equal(short.asked.length, 1);
  assert.doesNotMatch(short.text, /story/);
});

test('a long history is told in bounded memory, and says what is left out', async () => {
  const lines = Array.from({ length: 3000 }, (_, at) =>
    lineOf(ioctlEvent({ caller: caller(CONTAINER, { pid: at + 1 }) }, '/a')),
  );
  const told = storyOf(await run(deviceReport(), lines));
  assert.equal(told.length, 1001);
  assert.match(told[0] ?? '', /^5000 earlier events are left out/);
});

test('a name cannot lead to another place of the API', async () => {
  const { asked } = await runCommand(
    explain,
    { request: { '/api/v1/devices/..%2Ffilter%3Fx%3D1%23': freeDevice() }, lines: [] },
    { args: ['../filter?x=1#'] },
  );
  assert.deepEqual(asked[0], ['GET', '/api/v1/devices/..%2Ffilter%3Fx%3D1%23']);
});

test('hostile names and lines never reach the terminal raw', async () => {
  for (const [what, name] of Object.entries(HOSTILE_NAMES)) {
    const device = deviceReport({
      backing: { ...deviceReport().backing, path: name } as DeviceReport['backing'],
      attachedBy: { pid: 1, comm: name, uid: 0 },
      container: { ...WEB, id: name, name, pod: name, unit: name, nested: { runtime: 'lxc', id: name } },
    });
    const hostile = lineOf(ioctlEvent({ caller: caller(CONTAINER, { comm: name }) }, name), { ...WEB, name });
    const raw = JSON.stringify({
      kind: 'ioctl',
      command: name,
      result: name,
      device: { name: 'loop3' },
      time: name,
      caller: { comm: name },
    });
    assertHarmless((await run(device, [hostile, raw, name])).text, 12, what);
  }
});
