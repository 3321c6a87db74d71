/** The recording that comes along, and what a recording from anywhere may not do. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { readRecording } from '../../src/demo/read-recording.js';
import { LoopwardenError } from '../../src/errors.js';
import { decodeBatch, type LoopEvent } from '../../src/events/decode.js';
import { LOOP_COMMAND, LOOP_COMMAND_NAMES, VERDICT } from '../../src/kernel/abi.js';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { tempFolder } from '../support/temp-folder.js';

const PATH = join(PACKAGE_ROOT, 'src/demo/recording.ndjson.gz');
const EBUSY = -16;

function eventsOf(path = PATH): LoopEvent[] {
  return readRecording(path).frames.flatMap(({ records }) => {
    if (records === undefined) return [];
    const { events, malformed } = decodeBatch(records);
    assert.equal(
      malformed,
      0,
      'records that the decoder does not know: record anew with npm run record-demo',
    );
    return events;
  });
}

/** The recording with its lines changed. */
function changed(t: TestContext, change: (lines: string[]) => string[]): string {
  const lines = gunzipSync(readFileSync(PATH)).toString().split('\n').filter(Boolean);
  return written(t, gzipSync(`${change(lines).join('\n')}\n`));
}

function written(t: TestContext, bytes: Buffer): string {
  const path = join(tempFolder(t), 'recording.ndjson.gz');
  writeFileSync(path, bytes);
  return path;
}

function refusal(path: string): LoopwardenError {
  try {
    readRecording(path);
  } catch (error) {
    assert.ok(error instanceof LoopwardenError, String(error));
    assert.equal(error.code, 'ERR_RECORDING');
    return error;
  }
  throw new assert.AssertionError({ message: 'it was taken' });
}

test('the recording is of the decoder that is there, and has the whole story', () => {
  assert.ok(existsSync(PATH), `no ${PATH}: npm run record-demo, as root`);
  const events = eventsOf();
  const ioctls = events.flatMap((event) => (event.kind === 'ioctl' ? [event] : []));
  const uevents = events.flatMap((event) => (event.kind === 'uevent' ? [event.record] : []));
  const commands = new Set(ioctls.map(({ record }) => LOOP_COMMAND_NAMES.get(record.command)));
  for (const name of [
    'LOOP_CONFIGURE',
    'LOOP_CLR_FD',
    'LOOP_CTL_ADD',
    'LOOP_CTL_REMOVE',
    'LOOP_CTL_GET_FREE',
  ])
    assert.ok(commands.has(name), name);
  assert.ok(ioctls.some(({ record }) => record.result === EBUSY));
  for (const verdict of [VERDICT.HIDE, VERDICT.DELIVER])
    assert.ok(uevents.some((record) => record.verdict === verdict));
  assert.ok(
    uevents.some((record) => record.synthetic === 1 && record.verdict === VERDICT.DELIVER),
    'hand-over',
  );
  assert.ok(
    uevents.some((record) => record.wholeDisk === 0 && record.verdict === VERDICT.HIDE),
    'partition',
  );
  const attached = ioctls.filter(({ record }) => record.command === LOOP_COMMAND.LOOP_CONFIGURE);
  const owners = new Set(attached.map(({ record }) => record.caller.userns.id));
  assert.ok(owners.size >= 6, 'the host and several containers');
  assert.ok(
    attached.some(({ record }) => record.caller.comm.includes('\u001b')),
    'a hostile name',
  );

  const { frames } = readRecording(PATH);
  const names = new Set(frames.flatMap(({ callers = [] }) => callers.map(({ container }) => container.name)));
  for (const name of ['ci-runner', 'shop-db', 'batch/image-builder-7/build', 'lab'])
    assert.ok(names.has(name), name);
  assert.deepEqual(
    frames.flatMap(({ agent }) => agent ?? []),
    ['start', 'stop', 'start', 'stop'],
  );
  assert.ok(
    frames.some(({ loopfs }) => (loopfs?.refusals.instance ?? 0) > 0),
    'the quota',
  );
  assert.ok(frames.filter(({ caption }) => caption !== undefined).length >= 10);
});

test('it begins and ends with the same devices, so that it can begin anew', () => {
  const listings = readRecording(PATH).frames.flatMap(({ loops }) => (loops ? [loops] : []));
  const stateOf = (at: number) =>
    listings.at(at)?.map(({ name, backing, partitions }) => [name, backing, partitions]);
  assert.deepEqual(stateOf(-1), stateOf(0));
});

test('it says nothing of whom it was recorded by', () => {
  const text = gunzipSync(readFileSync(PATH)).toString();
  const paths = eventsOf().flatMap((event) => (event.kind === 'ioctl' ? (event.backingPath ?? []) : []));
  assert.ok(paths.length > 10);
  for (const path of paths) assert.match(path, /^\/srv\/demo\//);
  assert.doesNotMatch(text, /\/(home|root|work|tmp)\//);
});

test('one of another layout is refused, and the error says how to make one that fits', (t) => {
  const path = changed(t, ([header = '', ...frames]) => [
    JSON.stringify({ ...JSON.parse(header), layout: '0123456789abcdef' }),
    ...frames,
  ]);
  const { message, nextStep, where } = refusal(path);
  assert.match(message, /have the layout 0123456789abcdef, this build reads [0-9a-f]{16}/);
  assert.match(nextStep, /npm run record-demo/);
  assert.equal(where, 'line 1');
});

test('what is no recording is one error with its place', (t) => {
  const swap = (at: number, frame: object) => (lines: string[]) =>
    lines.map((line, index) => (index === at ? JSON.stringify(frame) : line));
  const loop = { name: 'loop0/../../etc', devno: 1, diskseq: '1', sizeBytes: 0, logicalBlockBytes: 512 };
  const wrong: [string, RegExp, string?][] = [
    [join(tempFolder(t), 'none'), /no such file/],
    [written(t, Buffer.from('no gzip')), /incorrect header check/],
    [written(t, readFileSync(PATH).subarray(0, 5000)), /unexpected end of file/],
    [written(t, gzipSync('')), /nothing is recorded in it/, 'line 1'],
    [written(t, gzipSync(Buffer.alloc(200 << 20))), /larger than|Cannot create a Buffer/],
    [changed(t, (lines) => [...lines.slice(0, 3), '{"atNs":']), /it is no JSON/, 'line 4'],
    [changed(t, swap(2, { atNs: -1 })), /atNs: /, 'line 3'],
    [changed(t, swap(2, { atNs: '1' })), /its time goes back/, 'line 3'],
    [changed(t, swap(2, { atNs: '9'.repeat(19), more: 1 })), /more/, 'line 3'],
    [changed(t, swap(2, { atNs: '1', loops: [loop] })), /loops\.0\.name: /, 'line 3'],
    [changed(t, swap(2, { atNs: '1', records: '!' })), /records: /, 'line 3'],
  ];
  for (const [path, reason, where] of wrong) {
    const error = refusal(path);
    assert.match(error.message, reason);
    assert.equal(error.where, where);
  }
});
