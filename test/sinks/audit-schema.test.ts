/** What the audit log is in others' schemas: real fields of the right types, whatever the line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatAuditLine } from '../../src/sinks/audit-line.js';
import { type LineMapper, openSchema } from '../../src/sinks/audit-schema.js';
import { anyRecord, hostileText } from '../support/any-record.js';
import { lineOf } from '../support/audit-sink.js';
import { assertEcs, assertOcsf, assertOtel, leavesOf } from '../support/published-schema.js';

const RUNS = { numRuns: Number(process.env.LOOPWARDEN_TEST_RUNS ?? 500) };
const SCHEMAS: readonly (readonly [LineMapper, (event: unknown) => void])[] = [
  [await openSchema('ocsf', 'node1'), assertOcsf],
  [await openSchema('ecs', 'node1'), assertEcs],
  [await openSchema('otel', 'node1'), assertOtel],
];

/** One line of JSON that steers no terminal. */
function assertOneLine(text: string): void {
  assert.doesNotMatch(text, /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
}

test('every line becomes a valid event in each schema, and no value of it is lost', () => {
  fc.assert(
    fc.property(anyRecord, (record) => {
      const line = formatAuditLine(record, 65_536);
      const wanted = leavesOf(JSON.parse(line)).flatMap(([, value]) => [value].flat().map(String));
      for (const [map, assertValid] of SCHEMAS) {
        const text = map(line);
        assert.ok(text);
        assertOneLine(text);
        const event = JSON.parse(text);
        assertValid(event);
        const had = new Set(allTexts(event));
        // OpenTelemetry's has the line for its body.
        if (had.has(line)) continue;
        // Of commands OCSF has words of its own for some.
        const words = new Set(['start', 'add', record.command]);
        for (const value of wanted)
          assert.ok(
            had.has(value) || had.has(`/dev/${value}`) || words.has(value),
            `${value} is not in ${text}`,
          );
      }
    }),
    RUNS,
  );
});

function allTexts(value: unknown): string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(allTexts);
  return [String(value)];
}

const NAMES = [
  ...[
    'seq',
    'time',
    'boot_ns',
    'kind',
    'command',
    'device',
    'name',
    'result',
    'caller',
    'pid',
    'userns',
    'id',
  ],
  ...['container', 'backing', 'path', 'inode', 'config', 'flags', '__proto__', 'constructor', 'toString'],
];
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    hostileText,
    fc.double(),
    fc.constantFrom(null, true, -1, 2 ** 53, 1e300, '1'.repeat(21)),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...NAMES), tie('tree'), { maxKeys: 6 }),
  ),
}));
const foreign = fc.dictionary(fc.constantFrom(...NAMES), tree).map((made) => ({
  ...made,
  time: '2026-11-25T05:00:00.000000001Z',
  kind: 'ioctl',
}));

test('of a line that somebody else has written, what is not as it should be is left out, and the rest is valid', () => {
  fc.assert(
    fc.property(foreign, (made) => {
      for (const [map, assertValid] of SCHEMAS) {
        const text = map(JSON.stringify(made));
        assert.ok(text);
        assertOneLine(text);
        assertValid(JSON.parse(text));
      }
    }),
    RUNS,
  );
});

test('what is no event is none in any schema', () => {
  const others = [
    ...['', 'no JSON', '[]', 'null', '7', '{}', '{"kind":"ioctl"}', '{"kind":"ioctl","time":"yesterday"}'],
    '{"kind":"ioctl","time":"2026-13-45T99:00:00.000000000Z"}',
    '{"time":"2026-11-25T05:00:00.000000001Z","boot_ns":1,"kind":"checkpoint","chain":"9d01dd619001466c","n":1}',
    '{"time":"2026-11-25T05:00:00.000000001Z","kind":"__proto__"}',
    `{"seq":1,"time":"2026-11-25T05:00:00.000000001Z","kind":"io`,
    `${'['.repeat(30_000)}`,
    lineOf(1),
  ];
  for (const line of others) for (const [map] of SCHEMAS) assert.equal(map(line), undefined, line);
});

const CALL = formatAuditLine({
  seq: 7,
  bootNs: 5_000_000_000n,
  wallOffsetNs: 1_700_000_000_000_000_123n,
  kind: 'ioctl',
  command: 'LOOP_CONFIGURE',
  device: { name: 'loop3', devno: (7 << 20) | 3, diskseq: 9n },
  result: 'EBUSY',
  durationNs: 1234n,
  caller: {
    pid: 100,
    tid: 101,
    startBootNs: 3_000_000_000n,
    comm: 'losetup',
    uid: 100_000,
    gid: 100_001,
    userns: { id: 2n ** 60n, inum: 4_026_532_101, level: 1, ownerUid: 1000 },
    pidns: 1,
    mntns: 1,
    netns: 1,
    cgroupId: 1n,
  },
  container: { runtime: 'docker', id: 'abc', name: 'web', pod: 'c5a1f6f2-9f2e-4b53-8d1f-0c8f1e2d3a4b' },
  backing: { dev: (8 << 20) | 1, inode: 77n, path: '/srv/disk.img' },
});

async function mapped(name: 'ocsf' | 'ecs', line: string) {
  return JSON.parse((await openSchema(name, 'node1'))(line) ?? '');
}

test('a call in OCSF: who called what, from which container, with what result', async () => {
  const event = await mapped('ocsf', CALL);
  assert.deepEqual(
    [event.class_name, event.activity_name, event.type_uid, event.time, event.status, event.status_code],
    ['Kernel Activity', 'Invoke', 100_304, 1_700_000_005_000, 'Failure', 'EBUSY'],
  );
  assert.equal(event.message, 'LOOP_CONFIGURE loop3: EBUSY, losetup[100] in docker/web');
  assert.deepEqual(event.kernel, {
    name: 'LOOP_CONFIGURE',
    type_id: 2,
    type: 'System Call',
    system_call: 'ioctl',
    path: '/dev/loop3',
  });
  assert.deepEqual(event.actor.process, {
    pid: 100,
    ptid: 101,
    name: 'losetup',
    created_time: 1_700_000_003_000,
    user: { uid: '100000' },
    container: {
      uid: 'abc',
      name: 'web',
      runtime: 'docker',
      pod_uuid: 'c5a1f6f2-9f2e-4b53-8d1f-0c8f1e2d3a4b',
    },
  });
  assert.equal(event.device.hostname, 'node1');
  assert.equal(event.unmapped.backing.path, '/srv/disk.img');
  assert.equal(event.unmapped.container, undefined);
});

test('what the agent does is the life of an application in OCSF, and its uevents are what happens to a device', async () => {
  const at = { bootNs: 5n, wallOffsetNs: 1_700_000_000_000_000_000n };
  const activity = async (kind: 'agent' | 'uevent' | 'life', command: string) => {
    const device = kind === 'agent' ? {} : { device: { name: 'loop3', devno: 7 << 20 } };
    const event = await mapped('ocsf', formatAuditLine({ ...at, kind, command, ...device }));
    return [event.class_uid, event.activity_id, event.activity_name, event.kernel?.type ?? event.app.name];
  };
  assert.deepEqual(await activity('agent', 'start'), [6002, 3, 'Start', 'loopwarden']);
  assert.deepEqual(await activity('agent', 'filter_off'), [6002, 7, 'Disable', 'loopwarden']);
  assert.deepEqual(await activity('agent', 'gap'), [6002, 99, 'gap', 'loopwarden']);
  assert.deepEqual(await activity('uevent', 'add'), [1003, 1, 'Create', 'Block Device']);
  assert.deepEqual(await activity('uevent', 'change'), [1003, 99, 'change', 'Block Device']);
  assert.deepEqual(await activity('life', 'release'), [1003, 99, 'release', 'Block Device']);
});

test('a call in ECS', async () => {
  const event = await mapped('ecs', CALL);
  assert.deepEqual(
    { ...event.event, id: undefined },
    {
      kind: 'event',
      category: ['driver'],
      type: ['start'],
      action: 'LOOP_CONFIGURE',
      outcome: 'failure',
      id: undefined,
      module: 'loopwarden',
      dataset: 'loopwarden.audit',
      sequence: 7,
      duration: 1234,
    },
  );
  assert.equal(event['@timestamp'], '2023-11-14T22:13:25.000000123Z');
  assert.deepEqual(event.process.start, '2023-11-14T22:13:23.000Z');
  assert.deepEqual(event.container, { id: 'abc', name: 'web', runtime: 'docker' });
  assert.deepEqual(event.orchestrator.resource, { type: 'pod', id: 'c5a1f6f2-9f2e-4b53-8d1f-0c8f1e2d3a4b' });
  assert.deepEqual(event.file, { path: '/srv/disk.img', inode: '77' });
  assert.deepEqual(event.error, { code: 'EBUSY' });
  assert.equal(event.loopwarden.caller.userns.id, String(2n ** 60n));
});
