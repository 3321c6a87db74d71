import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { code, compile, native, pinDirectory, u32, u64 } from './support.js';

const object = native.openObject(compile('tracing'));
object.setGlobal('watched_tgid', process.pid);
object.load();
const exits = object.map('exits');
const counter = object.program('count_exits');
const lister = object.program('list_tasks');

/** System calls of this process that the program has seen so far; each call makes at least one. */
function seen(): bigint {
  return exits.get(u32(0))?.readBigUInt64LE() ?? -1n;
}

function isCounting(): boolean {
  const before = seen();
  return seen() > before;
}

test('a link lasts until it is closed', () => {
  assert.equal(isCounting(), false);
  const link = counter.attach();
  assert.ok(link.id > 0);
  assert.equal(isCounting(), true);
  link.close();
  link.close();
  assert.equal(isCounting(), false);
});

test('a pinned link outlives its handle', () => {
  const path = join(pinDirectory(), 'link');
  const link = counter.attach();
  const { id } = link;
  assert.equal(link.programId, counter.id);
  assert.throws(() => link.unpin(), code('ENOENT'));
  link.pin(path);
  assert.throws(() => link.pin(`${path}2`), code('EBUSY'));
  link.close();
  assert.equal(isCounting(), true);
  const again = native.openPinnedLink(path);
  assert.equal(again.id, id);
  again.unpin();
  assert.equal(existsSync(path), false);
  assert.equal(isCounting(), true);
  again.close();
  assert.equal(isCounting(), false);
});

test('a pinned program attaches without its object', () => {
  const path = join(pinDirectory(), 'program');
  counter.pin(path);
  const pinned = native.openPinnedProgram(path);
  assert.equal(pinned.id, counter.id);
  const link = pinned.attach();
  assert.equal(isCounting(), true);
  link.close();
  pinned.close();
  assert.equal(isCounting(), false);
});

test('an iterator lists what there is', () => {
  const link = lister.attach();
  const bytes = link.readIterator();
  assert.equal(bytes.length % 4, 0);
  const tgids = new Set<number>();
  for (let at = 0; at < bytes.length; at += 4) tgids.add(bytes.readInt32LE(at));
  assert.ok(tgids.has(process.pid));
  const path = join(pinDirectory(), 'iterator');
  lister.pin(path);
  const pinned = native.openPinnedProgram(path);
  const second = pinned.attach();
  assert.ok(second.readIterator().length > 0);
  second.close();
  pinned.close();
  assert.throws(() => link.readIterator(8), code('E2BIG'));
  assert.throws(() => link.readIterator(-1), RangeError);
  link.close();
});

test('a link that is no iterator cannot be read', () => {
  const link = counter.attach();
  assert.throws(() => link.readIterator(), code('EINVAL'));
  link.close();
});

test('counts runs only where the kernel keeps statistics', () => {
  assert.ok(counter.stats().runs >= 0n);
  exits.put(u32(0), u64(0n));
});
