/** `events`: which are shown, from where, and in which order. */
import assert from 'node:assert/strict';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { events } from '../../src/commands/events.js';
import type { Container } from '../../src/identity/container.js';
import { LOOP_COMMAND } from '../../src/kernel/abi.js';
import { entryOfEvent } from '../../src/sinks/audit-events.js';
import { formatAuditLine } from '../../src/sinks/audit-line.js';
import { CONTAINER, caller, INITIAL, ioctlEvent, LOOP3, ueventEvent, WEB } from '../event-fixture.js';
import { assertEcs, assertOcsf, assertOtel } from '../support/published-schema.js';
import { tempFolder } from '../support/temp-folder.js';
import { loadedWith, type Run, runCommand } from './run-command.js';
import { assertHarmless, HOSTILE_NAMES } from './terminal.js';

const START_MS = Date.UTC(2026, 10, 25, 4, 0, 0);

/** Line number `seq`, so many seconds after START_MS. */
function lineOf(
  seq: number,
  event: Parameters<typeof entryOfEvent>[0] = ioctlEvent(),
  { container, name = 'loop3' }: { container?: Container; name?: string } = {},
): string {
  const entry = entryOfEvent(event, { name, devno: LOOP3, diskseq: 9n }, undefined, container);
  return formatAuditLine({
    ...entry,
    bootNs: BigInt(seq) * 1_000_000_000n,
    seq,
    wallOffsetNs: BigInt(START_MS) * 1_000_000n,
  });
}

const HOSTS = { ownerBefore: 0n, ownerAfter: INITIAL, caller: caller(INITIAL) };
const LINES = [
  lineOf(1, ioctlEvent({ ...HOSTS, command: LOOP_COMMAND.LOOP_CTL_ADD })),
  lineOf(2, ioctlEvent({}, '/srv/disk.img'), { container: WEB }),
  lineOf(3, ueventEvent()),
  lineOf(4, ioctlEvent({ ...HOSTS, result: -16 })),
  lineOf(5, ioctlEvent({ command: LOOP_COMMAND.LOOP_CLR_FD }), { name: 'loop33' }),
];

const seqs = ({ printed }: Run): number[] => printed.map((line) => JSON.parse(String(line)).seq);

async function shown(options: object): Promise<number[]> {
  return seqs(await runCommand(events, { lines: LINES }, { options, json: true }));
}

function logWith(t: TestContext, files: Record<string, string | Buffer>) {
  const folder = tempFolder(t);
  for (const [at, [name, content]] of Object.entries(files).entries()) {
    writeFileSync(join(folder, name), content);
    // The first is the oldest.
    utimesSync(join(folder, name), 1000 + at, 1000 + at);
  }
  return loadedWith(join(folder, 'audit.ndjson'));
}

test('filters by owner, command, device, container and failure, all of them joined', async () => {
  assert.deepEqual(await shown({}), [1, 2, 3, 4, 5]);
  assert.deepEqual(await shown({ owner: 'host' }), [1, 4]);
  assert.deepEqual(await shown({ owner: 'userns' }), [2, 3, 5]);
  assert.deepEqual(await shown({ owner: String(CONTAINER) }), [2, 3, 5]);
  assert.deepEqual(await shown({ owner: '4026532101' }), [2, 3, 5]);
  assert.deepEqual(await shown({ owner: 'unknown' }), []);
  assert.deepEqual(await shown({ command: 'configure,LOOP_CTL_ADD' }), [1, 2, 4]);
  assert.deepEqual(await shown({ command: 'change' }), [3]);
  assert.deepEqual(await shown({ command: 'clr-fd' }), [5]);
  assert.deepEqual(await shown({ failed: true }), [4]);
  assert.deepEqual(await shown({ device: '/dev/loop3' }), [1, 2, 3, 4]);
  assert.deepEqual(await shown({ device: '33' }), [5]);
  assert.deepEqual(await shown({ device: '/dev/loop33p1' }), [5]);
  assert.deepEqual(await shown({ container: 'web' }), [2]);
  assert.deepEqual(await shown({ container: 'web', failed: true }), []);
  await assert.rejects(shown({ owner: 'orphan' }), { code: 'ERR_USAGE' });
  await assert.rejects(shown({ command: 'LOOP_NONSENSE' }), { code: 'ERR_USAGE' });
});

test('--since and --until count by the line’s own time, both ends included', async () => {
  const at = (second: number): string => new Date(START_MS + second * 1000).toISOString();
  assert.deepEqual(await shown({ since: at(2), until: at(4) }), [2, 3, 4]);
  assert.deepEqual(await shown({ since: at(5) }), [5]);
  assert.deepEqual(await shown({ until: '@0' }), []);
  await assert.rejects(shown({ since: at(4), until: at(2) }), { code: 'ERR_USAGE' });
  await assert.rejects(shown({ since: 'soon' }), { code: 'ERR_USAGE' });
  await assert.rejects(shown({ until: at(2), follow: true }), { code: 'ERR_USAGE' });
});

test('-n is how many of those that the filter takes, the latest', async () => {
  assert.deepEqual(await shown({ lines: '2' }), [4, 5]);
  assert.deepEqual(await shown({ lines: '1', owner: 'host' }), [4]);
  assert.deepEqual(await shown({ lines: '0' }), []);
  const many = Array.from({ length: 250 }, (_, at) => lineOf(at + 1));
  assert.equal((await runCommand(events, { lines: many })).printed.length, 100);
  assert.equal(
    (await runCommand(events, { lines: many }, { options: { lines: 'all' } })).printed.length,
    250,
  );
  await assert.rejects(shown({ lines: '-3' }), { code: 'ERR_USAGE' });
});

test('with --follow the latest come first, then each new one, and the mark between them is not shown', async () => {
  const lines = [...LINES.slice(0, 3), '{"kind":"mark"}', ...LINES.slice(3)];
  const run = await runCommand(events, { lines }, { options: { follow: true, lines: '1' }, json: true });
  assert.deepEqual(seqs(run), [3, 4, 5]);
  assert.match(String(run.asked[0]?.[1]), /follow=1&mark=1$/);
  await assert.rejects(runCommand(events, {}, { options: { follow: true } }), {
    code: 'ERR_AGENT_NOT_RUNNING',
  });
});

test('--log reads the rotated files from the oldest on, zipped or not', async (t) => {
  const loaded = logWith(t, {
    'audit.ndjson.10.gz': gzipSync(`${LINES[0]}\n`),
    'audit.ndjson.9': `${LINES[1]}\n`,
    'audit.ndjson.1': `${LINES[2]}\n${LINES[3]}\n`,
    'audit.ndjson': `${LINES[4]}\n{"seq":6,"torn":`,
    'audit.ndjson.tmp': 'no log\n',
    'audit.ndjson.1.bak': 'no log\n',
    'audit.ndjson-x': 'no log\n',
  });
  const run = await runCommand(events, {}, { options: { log: true }, json: true, loaded });
  assert.deepEqual(seqs(run), [1, 2, 3, 4, 5]);
  // The day is told, too.
  assert.match(
    (await runCommand(events, {}, { options: { log: true }, loaded })).text,
    /^2026-11-2\d \d\d:00:01\.000 LOOP_CTL_ADD/,
  );
});

test('where no agent answers, the log takes its place', async (t) => {
  const loaded = logWith(t, { 'audit.ndjson': `${LINES[4]}\n` });
  assert.deepEqual(seqs(await runCommand(events, {}, { json: true, loaded })), [5]);
  await assert.rejects(runCommand(events, {}, { loaded: loadedWith(join(tempFolder(t), 'none')) }), {
    code: 'ERR_AGENT_NOT_RUNNING',
  });
  await assert.rejects(runCommand(events, {}, { options: { log: true }, loaded: loadedWith('-') }), {
    code: 'ERR_NO_AUDIT_LOG',
  });
});

test('--log --follow goes on with what comes, and tells nothing twice', async (t) => {
  const loaded = logWith(t, { 'audit.ndjson': `${LINES.slice(0, 4).join('\n')}\n` });
  const unnumbered = LINES[2]?.replace(/"seq":\d+,/, '') ?? '';
  const lines = ['{"kind":"mark"}', LINES[2] ?? '', unnumbered, LINES[3] ?? '', LINES[4] ?? ''];
  const run = await runCommand(
    events,
    { lines },
    { options: { log: true, follow: true }, json: true, loaded },
  );
  assert.deepEqual(seqs(run), [1, 2, 3, 4, undefined, 5]);
});

test('--json is NDJSON, whatever is in the file', async (t) => {
  const loaded = logWith(t, { 'audit.ndjson': `no JSON\n\u0000\u0000\n${LINES[0]}\n` });
  const run = await runCommand(events, {}, { options: { log: true }, json: true, loaded });
  assert.deepEqual(seqs(run), [1]);
});

test('hostile lines never reach the terminal raw, with the day and in colour', async () => {
  for (const [what, name] of Object.entries(HOSTILE_NAMES)) {
    const raw = JSON.stringify({
      kind: name,
      command: name,
      time: name,
      device: { name },
      result: 'ok',
      container: { runtime: name },
      backing: { path: name },
    });
    const { text } = await runCommand(events, { lines: [raw, name] }, { options: { since: '@0' } });
    assertHarmless(text, 2, what);
  }
});

test('--schema is NDJSON of valid events in that schema, of what the filter takes', async () => {
  const judges = { ocsf: assertOcsf, ecs: assertEcs, otel: assertOtel };
  for (const [schema, assertValid] of Object.entries(judges)) {
    const { printed } = await runCommand(events, { lines: LINES }, { options: { schema, owner: 'userns' } });
    assert.equal(printed.length, 3);
    for (const text of printed) assertValid(JSON.parse(String(text)));
  }
  const native = await runCommand(events, { lines: LINES }, { options: { schema: 'native' } });
  assert.deepEqual(native.printed, LINES);
  await assert.rejects(runCommand(events, { lines: LINES }, { options: { schema: 'cef' } }), {
    code: 'ERR_USAGE',
    message: '--schema takes native, ocsf, ecs, otel, not "cef"',
  });
});

test('in no schema do hostile lines break out of theirs', async () => {
  for (const name of Object.values(HOSTILE_NAMES)) {
    const line = lineOf(1, ioctlEvent({ caller: caller(CONTAINER, { comm: name }) }, name), { name });
    for (const schema of ['native', 'ocsf', 'ecs', 'otel']) {
      const { text } = await runCommand(
        events,
        { lines: [line, name, `{"kind":${name}`] },
        { options: { schema } },
      );
      assert.ok(text.startsWith('{') && text.endsWith('}'));
      assert.doesNotMatch(text, /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
      JSON.parse(text);
    }
  }
});
