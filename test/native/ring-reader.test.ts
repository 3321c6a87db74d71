import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import type { BpfMap, RingReader } from '../../src/kernel/native.js';
import { code, compile, native, within } from './support.js';

const object = native.openObject(compile('ring'));
object.load();
const ring = object.map('ring');
const fill = object.program('fill');
const fillLarge = object.program('fill_large');
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
  assert.equal(reader.drain(), 1000);
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
  rest.drain();
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
  assert.deepEqual((await within(10_000, 'third', last)).slice(0, 1), [2]);
  reader.close();
});
