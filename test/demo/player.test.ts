/** Frames at their times, pass after pass. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Frame, Recording } from '../../src/demo/frame.js';
import { createPass, eventIn, type Pass } from '../../src/demo/pass.js';
import { play } from '../../src/demo/player.js';
import { countersIn, createReplayedMap, ownersIn } from '../../src/demo/replayed-map.js';
import { readOwnerEntry, writeOwnerEntry } from '../../src/kernel/abi.js';
import { ioctlEvent, NOBODY, ueventEvent } from '../event-fixture.js';

const SECOND_NS = 1_000_000_000n;
const START_NS = 5000n * SECOND_NS;

function recording(...atSeconds: number[]): Recording {
  const loop = { name: 'loop0', devno: 7 << 20, sizeBytes: 0, logicalBlockBytes: 512, readOnly: false };
  const frames = atSeconds.map(
    (at, index): Frame => ({
      atNs: BigInt(at * 1e9),
      loops: [{ ...loop, diskseq: BigInt(10 + index), backing: null, partitions: [] }],
    }),
  );
  return { header: { format: 1, layout: '0', kernel: '6.18', partShift: 0, maps: {} }, frames };
}

const pass = (number: number, speed = 1): Pass =>
  createPass({ number, fromNs: 100n * SECOND_NS, startNs: START_NS, speed, diskseqs: 7n });

test('frames come in their order, no sooner than their time', async () => {
  const clock = () => process.hrtime.bigint();
  const startNs = clock();
  const came: [bigint, bigint][] = [];
  await play(recording(100, 100.1, 100.3), {
    speed: 2,
    once: true,
    stop: new AbortController().signal,
    bootNow: clock,
    onFrame: ({ atNs }) => void came.push([atNs, clock() - startNs]),
  });
  assert.deepEqual(
    came.map(([atNs]) => Number(atNs) / 1e9),
    [100, 100.1, 100.3],
  );
  assert.ok((came[1]?.[1] ?? 0n) >= 50_000_000n && (came[2]?.[1] ?? 0n) >= 150_000_000n);
});

test('it begins anew until it is stopped, each pass with lives of its own', async () => {
  const stop = new AbortController();
  const passes: Pass[] = [];
  let nowNs = START_NS;
  await play(recording(100, 200), {
    speed: 100,
    once: false,
    stop: stop.signal,
    bootNow: () => (nowNs += SECOND_NS),
    onFrame(_, pass) {
      passes.push(pass);
      if (passes.length === 6) stop.abort();
    },
  });
  assert.deepEqual(
    passes.map(({ number }) => number),
    [0, 0, 1, 1, 2, 2],
  );
  assert.deepEqual(
    passes.map(({ diskseqOf }) => diskseqOf(10n)),
    [10n, 10n, 12n, 12n, 14n, 14n],
  );
});

test('an aborted one ends at once, however long the next frame is away', async () => {
  const stop = new AbortController();
  const playing = play(recording(0, 1_000_000), {
    speed: 0.1,
    once: true,
    stop: stop.signal,
    bootNow: () => process.hrtime.bigint(),
    onFrame: () => setImmediate(() => stop.abort()) && undefined,
  });
  await playing;
});

test('times are those of now, and never before the boot', () => {
  assert.equal(pass(0).timeOf(103n * SECOND_NS), START_NS + 3n * SECOND_NS);
  assert.equal(pass(0, 10).timeOf(103n * SECOND_NS), START_NS + (SECOND_NS / 10n) * 3n);
  assert.equal(pass(0, 0.1).timeOf(0n), START_NS - 1000n * SECOND_NS);
  assert.equal(createPass({ number: 0, fromNs: 9n, startNs: 5n, speed: 1, diskseqs: 1n }).timeOf(0n), 0n);
});

test('an event has the times and the lives of its pass, and nothing else is changed', () => {
  const ioctl = ioctlEvent({}, '/srv/disk.img');
  const moved = eventIn(pass(2), ioctl);
  assert.ok(moved.kind === 'ioctl');
  assert.deepEqual(
    [moved.record.diskseqBefore, moved.record.after.diskseq],
    [ioctl.record.diskseqBefore + 14n, ioctl.record.after.diskseq + 14n],
  );
  assert.equal(moved.record.header.bootNs - moved.record.caller.startBootNs, SECOND_NS);
  assert.equal(moved.record.durationNs, ioctl.record.durationNs);
  assert.equal(moved.backingPath, '/srv/disk.img');
  const uevent = eventIn(pass(1), ueventEvent({ diskseq: 0n }));
  assert.ok(uevent.kind === 'uevent' && uevent.record.diskseq === 0n, 'none stays none');
});

test('counters go on where the pass before ended; owners have the lives of the pass', () => {
  const words = (...values: bigint[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 8);
    for (const [at, value] of values.entries()) bytes.writeBigUInt64LE(value, at * 8);
    return bytes;
  };
  const [first, last] = [words(5n, 0n), words(25n, 3n)];
  assert.deepEqual(countersIn(pass(0), words(10n, 1n), first, last), words(10n, 1n));
  assert.deepEqual(countersIn(pass(3), words(10n, 1n), first, last), words(70n, 10n));
  const entries = Buffer.concat([
    writeOwnerEntry({ ...NOBODY, holder: 9n, holderDiskseq: 4n }),
    writeOwnerEntry(NOBODY),
  ]);
  const moved = ownersIn(pass(1), entries);
  const view = new DataView(moved.buffer, moved.byteOffset, moved.byteLength);
  assert.deepEqual(readOwnerEntry(view, 0), { ...NOBODY, holder: 9n, holderDiskseq: 11n });
  assert.deepEqual(readOwnerEntry(view, moved.length / 2), NOBODY);
});

test('a map of the recording is read like the kernel’s; one it does not have is empty', () => {
  const shape = { keySize: 4, valueSize: 8, maxEntries: 2, cpus: 2 };
  const torn = { keys: Buffer.alloc(7), values: Buffer.alloc(40, 1) };
  const map = createReplayedMap('counts', shape, () => torn);
  assert.deepEqual([map.entries().count, map.entries().values.length], [1, 16]);
  assert.equal(map.get(Buffer.alloc(4))?.length, 16);
  assert.throws(() => map.put(Buffer.alloc(4), Buffer.alloc(8)), /the map counts is a recording/);
  assert.equal(createReplayedMap('new', undefined, () => undefined).entries().count, 0);
});
