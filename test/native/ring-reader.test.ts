import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BpfMap, RingReader } from '../../src/kernel/native.js';
import { code, compile, native, pinDirectory, runScript, within } from './support.js';

const object = native.openObject(compile('ring'));
object.load();
const ring = object.map('ring');
const fill = object.program('fill');
const fillLarge = object.program('fill_large');
const discard = object.program('discard');
const packet = Buffer.alloc(64);

/** Releases each batch as soon as it is read. */
function openReader(
  map: BpfMap,
  onBatch: (batch: Buffer, count: number, reader: RingReader) => void,
): RingReader {
  const reader = native.openRingReader(map, (batch, count, end) => {
    try {
      onBatch(batch, count, reader);
    } finally {
      reader.release(end);
    }
  });
  return reader;
}

/** Reads batch by batch what there is. */
function drainAll(reader: RingReader): number {
  let records = 0;
  for (let count = reader.drain(); count > 0; count = reader.drain()) records += count;
  return records;
}

/** Each turn of the event loop asks for what is readable. */
async function loopTurns(count: number): Promise<string> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
  return 'quiet';
}

/** The records of a batch, checked to fill it exactly. */
function split(batch: Buffer, count: number): Buffer[] {
  const records: Buffer[] = [];
  let at = 0;
  while (at < batch.length) {
    const length = batch.readUInt32LE(at);
    assert.equal(batch.readUInt32LE(at + 4), 0);
    records.push(batch.subarray(at + 8, at + 8 + length));
    at += 8 + Math.ceil(length / 8) * 8;
  }
  assert.equal(at, batch.length);
  assert.equal(records.length, count);
  return records;
}

test('hands over all records of one wake-up in one call', async () => {
  const events = new EventEmitter();
  const reader = openReader(ring, (batch, count) => events.emit('batch', batch, count));
  fill.testRun(packet, 1000);
  assert.equal(reader.stats().availableBytes, 1000 * 24);
  assert.equal(reader.stats().sizeBytes, ring.maxEntries);
  const [batch, count] = await within(10_000, 'batch', once(events, 'batch'));
  await new Promise(setImmediate);
  assert.equal(count, 1000);
  const records = split(batch, count);
  const first = records[0]?.readUInt32LE(0) ?? -1;
  records.forEach((record, index) => {
    assert.equal(record.length, 12);
    assert.equal(record.readUInt32LE(0), first + index);
    assert.equal(record.readUInt32LE(8), 0xfeedf00d);
  });
  assert.equal(reader.stats().availableBytes, 0);
  reader.close();
});

test('splits at 1 MiB without losing or repeating a record', () => {
  const batches: Buffer[][] = [];
  const reader = openReader(ring, (batch, count) => {
    assert.ok(batch.length <= 1 << 20);
    batches.push(split(batch, count));
  });
  fillLarge.testRun(packet, 1000);
  assert.equal(drainAll(reader), 1000);
  assert.equal(batches.length, 4);
  const numbers = batches.flat().map((record) => record.readBigUInt64LE(0));
  const first = numbers[0] ?? -1n;
  numbers.forEach((number, index) => {
    assert.equal(number, first + BigInt(index));
  });
  assert.equal(reader.drain(), 0);
  reader.close();
});

test('drains without a wake-up, also from within the callback', () => {
  const counts: number[] = [];
  const reader = native.openRingReader(ring, (_batch, count, end) => {
    reader.release(end);
    counts.push(count);
    if (counts.length === 1) {
      fill.testRun(packet, 3);
      assert.equal(reader.drain(), 3);
    }
  });
  fill.testRun(packet, 2);
  assert.equal(reader.drain(), 2);
  assert.deepEqual(counts, [2, 3]);
  reader.close();
});

test('may be closed from within its callback', async () => {
  const closed = new Promise<number>((resolve) => {
    const reader = native.openRingReader(ring, () => {
      reader.close();
      assert.throws(() => reader.drain(), code('ERR_CLOSED'));
      resolve(fillLarge.testRun(packet).result);
    });
    fillLarge.testRun(packet, 600);
  });
  assert.equal(await within(10_000, 'call', closed), 0);
  let records = 0;
  const rest = openReader(ring, (_batch, count) => {
    records += count;
  });
  drainAll(rest);
  assert.ok(records > 300, 'what the closed reader left is still there');
  rest.close();
});

test('a drain gives the exception of its callback to the caller', () => {
  const reader = openReader(ring, () => {
    throw new Error('from the callback');
  });
  fill.testRun(packet, 2);
  assert.throws(() => reader.drain(), /from the callback/);
  assert.equal(reader.drain(), 0);
  reader.close();
});

test('goes on when its map and object are closed', () => {
  const other = native.openObject(compile('ring'));
  other.load();
  const map = other.map('ring');
  const program = other.program('fill');
  let records = 0;
  const reader = native.openRingReader(map, (_batch, count) => {
    records += count;
  });
  map.close();
  other.close();
  program.testRun(packet, 5);
  program.close();
  assert.equal(reader.drain(), 5);
  assert.equal(records, 5);
  reader.close();
});

test('refuses a map that is no ring', () => {
  const maps = native.openObject(compile('maps'));
  maps.load();
  const words = maps.map('words');
  assert.throws(() => native.openRingReader(words, () => {}), code('EINVAL'));
  assert.throws(() => native.openRingReader(ring, undefined as never), TypeError);
  words.close();
  assert.throws(() => native.openRingReader(words, () => {}), code('ERR_CLOSED'));
  maps.close();
});

test('keeps in the ring what is not released: the next reader gets it again', () => {
  let upTo = 0n;
  const first = native.openRingReader(ring, (_batch, _count, end) => {
    upTo = end;
  });
  fill.testRun(packet, 2);
  assert.equal(first.drain(), 2);
  const half = upTo;
  fill.testRun(packet, 3);
  assert.equal(first.drain(), 3);
  assert.equal(first.drain(), 0);
  first.release(half);
  assert.throws(() => first.release(half - 8n), RangeError);
  assert.throws(() => first.release(upTo + 8n), RangeError);
  assert.throws(() => first.release(-8n), RangeError);
  assert.throws(() => first.release(1n << 64n), RangeError);
  assert.throws(() => first.release(1 as never), TypeError);
  assert.equal(first.stats().availableBytes, 3 * 24);
  first.close();
  const second = openReader(ring, () => {});
  assert.equal(second.drain(), 3);
  assert.equal(second.stats().availableBytes, 0);
  second.close();
});

test('wakes for what came while a batch waited for its release', async () => {
  const events = new EventEmitter();
  const reader = native.openRingReader(ring, (_batch, count, end) => events.emit('batch', count, end));
  fill.testRun(packet, 1);
  const [, first] = await within(10_000, 'first', once(events, 'batch'));
  fill.testRun(packet, 4);
  const next = once(events, 'batch');
  reader.release(first as bigint);
  const [count, second] = await within(10_000, 'second', next);
  assert.equal(count, 4);
  reader.release(second as bigint);
  const last = once(events, 'batch');
  fill.testRun(packet, 2);
  const [after, third] = await within(10_000, 'third', last);
  assert.equal(after, 2);
  reader.release(third as bigint);
  reader.close();
});

test('a process killed before its release leaves the records to the next', async () => {
  const path = join(pinDirectory(), 'ring');
  ring.pin(path);
  fill.testRun(packet, 7);
  const { signal } = await runScript(`
    native.openRingReader(native.openPinnedMap(${JSON.stringify(path)}), () => process.kill(process.pid, 'SIGKILL'));`);
  assert.equal(signal, 'SIGKILL');
  const next = openReader(ring, () => {});
  assert.equal(next.drain(), 7);
  next.close();
});

test('a release wakes no paused reader', async () => {
  const events = new EventEmitter();
  let upTo = 0n;
  const reader = native.openRingReader(ring, (_batch, count, end) => {
    upTo = end;
    events.emit('batch', count);
  });
  reader.pause();
  fill.testRun(packet, 1);
  assert.equal(reader.drain(), 1);
  const next = once(events, 'batch').then(() => 'woken');
  fill.testRun(packet, 2);
  reader.release(upTo);
  assert.equal(await Promise.race([next, loopTurns(20)]), 'quiet');
  reader.resume();
  assert.equal(await within(10_000, 'batch', next), 'woken');
  reader.release(upTo);
  assert.equal(reader.stats().availableBytes, 0);
  reader.close();
});

test('discarded records are no batch and need no release', async () => {
  const events = new EventEmitter();
  const ends: bigint[] = [];
  const reader = native.openRingReader(ring, (_batch, count, end) => {
    ends.push(end);
    events.emit('batch', count);
  });
  discard.testRun(packet, 3);
  assert.equal(reader.drain(), 0);
  assert.equal(reader.stats().availableBytes, 0);
  fill.testRun(packet, 2);
  assert.equal(reader.drain(), 2);
  discard.testRun(packet, 3);
  assert.equal(reader.drain(), 0);
  assert.equal(reader.stats().availableBytes, 5 * 24);
  reader.release(ends[0] ?? 0n);
  assert.equal(reader.stats().availableBytes, 0);
  const next = once(events, 'batch');
  fill.testRun(packet, 4);
  assert.deepEqual(await within(10_000, 'batch', next), [4]);
  reader.release(ends[1] ?? 0n);
  assert.equal(reader.stats().availableBytes, 0);
  reader.close();
});

test('a ring smaller than a batch fills, makes room and goes round', () => {
  const other = native.openObject(compile('ring'));
  other.setMaxEntries('ring', 4096);
  other.load();
  const program = other.program('fill');
  let expected = 0;
  let upTo = 0n;
  const reader = native.openRingReader(other.map('ring'), (batch, count, end) => {
    for (const record of split(batch, count)) assert.equal(record.readUInt32LE(0), expected++);
    upTo = end;
  });
  const fits = Math.floor(4096 / 24);
  for (let round = 0; round < 50; round++) {
    program.testRun(packet, fits);
    assert.equal(reader.drain(), fits);
    assert.equal(program.testRun(packet).result, 1, 'what is read and not released takes room');
    expected++;
    reader.release(upTo);
    assert.equal(program.testRun(packet).result, 0);
    assert.equal(reader.drain(), 1);
    reader.release(upTo);
  }
  reader.close();
  other.close();
});

test('a reader goes on where another has released beyond it', () => {
  let records = 0;
  const left = native.openRingReader(ring, (_batch, count) => {
    records += count;
  });
  const right = openReader(ring, () => {});
  fill.testRun(packet, 5);
  assert.equal(right.drain(), 5);
  fill.testRun(packet, 2);
  assert.equal(left.drain(), 2);
  assert.equal(records, 2);
  left.close();
  assert.equal(right.drain(), 2);
  right.close();
});
