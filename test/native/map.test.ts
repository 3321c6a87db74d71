import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { code, compile, native, pinDirectory, u32, u64 } from './support.js';

const object = native.openObject(compile('maps'));
object.load();
const words = object.map('words');
const bpffs = pinDirectory();

test('describes a map', () => {
  assert.equal(words.name, 'words');
  assert.deepEqual(
    [words.type, words.keySize, words.valueSize, words.maxEntries, words.perCpu, words.cpus],
    [1, 4, 8, 5000, false, 1],
  );
  assert.ok(words.id > 0);
});

test('puts, gets and deletes', () => {
  assert.equal(words.get(u32(1)), null);
  words.put(u32(1), u64(10n));
  assert.deepEqual(words.get(u32(1)), u64(10n));
  assert.throws(() => words.put(u32(1), u64(11n), 'new'), code('EEXIST'));
  words.put(u32(1), u64(12n), 'existing');
  assert.throws(() => words.put(u32(2), u64(1n), 'existing'), code('ENOENT'));
  assert.deepEqual(words.get(u32(1)), u64(12n));
  assert.equal(words.delete(u32(1)), true);
  assert.equal(words.delete(u32(1)), false);
});

test('lists all entries of a full hash', () => {
  for (let key = 0; key < 5000; key++) words.put(u32(key), u64(BigInt(key) * 3n));
  const { count, keys, values } = words.entries();
  assert.equal(count, 5000);
  assert.equal(keys.length, 5000 * 4);
  const seen = new Set<number>();
  for (let index = 0; index < count; index++) {
    const key = keys.readUInt32LE(index * 4);
    seen.add(key);
    assert.equal(values.readBigUInt64LE(index * 8), BigInt(key) * 3n);
  }
  assert.equal(seen.size, 5000);
  for (const key of seen) words.delete(u32(key));
  assert.equal(words.entries().count, 0);
});

test('lists an array and refuses to delete from it', () => {
  const array = object.map('array');
  array.put(u32(3), u32(9));
  const { count, values } = array.entries();
  assert.equal(count, 4);
  assert.equal(values.readUInt32LE(12), 9);
  assert.throws(() => array.delete(u32(0)), code('EINVAL'));
  array.close();
});

test('gives one padded value for each CPU of a per-CPU map', () => {
  const perCpu = object.map('per_cpu');
  assert.equal(perCpu.perCpu, true);
  const program = object.program('count');
  program.testRun(Buffer.alloc(64), 100);
  const value = perCpu.get(u32(0));
  assert.ok(value);
  assert.equal(value.length, 8 * perCpu.cpus);
  let total = 0;
  for (let cpu = 0; cpu < perCpu.cpus; cpu++) total += value.readUInt32LE(cpu * 8);
  assert.equal(total, 300);
  assert.throws(() => perCpu.put(u32(0), u32(1)), RangeError);
  perCpu.put(u32(0), Buffer.alloc(8 * perCpu.cpus));
  const entries = perCpu.entries();
  assert.equal(entries.count, 2);
  assert.ok(entries.values.every((byte) => byte === 0));
  program.close();
  perCpu.close();
});

test('takes a queue, which has no keys', () => {
  const queue = object.map('queue');
  queue.put(Buffer.alloc(0), u32(5));
  assert.deepEqual(queue.get(Buffer.alloc(0)), u32(5));
  queue.close();
});

test('pins a map and opens it again', () => {
  const path = join(bpffs, 'words');
  words.put(u32(7), u64(7n));
  words.pin(path);
  assert.throws(() => words.pin(path), code('EEXIST'));
  const again = native.openPinnedMap(path);
  assert.equal(again.id, words.id);
  assert.deepEqual(again.get(u32(7)), u64(7n));
  assert.throws(() => native.openPinnedProgram(path), code('EINVAL'));
  assert.throws(() => native.openPinnedLink(path), code('EINVAL'));
  assert.throws(() => native.openPinnedMap(join(bpffs, 'absent')), code('ENOENT'));
  assert.throws(() => native.openPinnedMap(compile('maps')), code('EACCES'));
  again.close();
});

test('shares a map between objects', () => {
  const other = native.openObject(compile('maps'));
  other.reuseMap('words', words);
  assert.throws(() => other.reuseMap('array', words), code('EINVAL'));
  other.load();
  const shared = other.map('words');
  assert.equal(shared.id, words.id);
  other.close();
  assert.equal(shared.get(u32(99)), null, 'the handle outlives its object');
  shared.close();
});

test('refuses keys and values of another length', () => {
  assert.throws(() => words.get(Buffer.alloc(3)), RangeError);
  assert.throws(() => words.put(u32(1), u32(1)), RangeError);
  assert.throws(() => words.put(u32(1), u64(1n), 'neither' as 'new'), TypeError);
  assert.throws(() => words.delete('key' as unknown as Buffer), TypeError);
});
