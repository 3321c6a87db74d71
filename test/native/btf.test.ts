import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { code, compile, native, scratch } from './support.js';

const kernel = native.openBtf('/sys/kernel/btf/vmlinux');

test("knows the kernel's own types", () => {
  const id = kernel.find('ns_common', 'struct');
  assert.ok(id > 0 && id <= kernel.count);
  const type = kernel.type(id);
  assert.equal(type.kind, 'struct');
  assert.equal(type.name, 'ns_common');
  assert.ok(type.size > 0);
  const inum = type.members.find(({ name }) => name === 'inum');
  assert.ok(inum);
  let target = kernel.type(inum.type);
  while (target.kind === 'typedef') target = kernel.type(target.type);
  assert.deepEqual([target.kind, target.size, target.signed], ['int', 4, false]);
});

test('answers 0 for a type that is not there', () => {
  assert.equal(kernel.find('no_such_type_at_all', 'struct'), 0);
  assert.equal(kernel.find('ns_common', 'enum'), 0);
  assert.throws(() => kernel.find('ns_common', 'class'), TypeError);
});

test('describes every type of the kernel', () => {
  const kinds = new Set<string>();
  for (let id = 0; id <= kernel.count; id++) kinds.add(kernel.type(id).kind);
  for (const kind of ['void', 'int', 'ptr', 'array', 'struct', 'union', 'enum', 'func_proto']) {
    assert.ok(kinds.has(kind), kind);
  }
  assert.equal(kinds.has('unknown'), false);
  assert.throws(() => kernel.type(kernel.count + 1), RangeError);
  assert.throws(() => kernel.type(-1), RangeError);
});

test('reads the BTF of an object', () => {
  const btf = native.openBtf(compile('maps'));
  const mode = btf.type(btf.find('mode', 'enum'));
  assert.deepEqual(mode.values, [
    { name: 'MODE_OFF', value: 0n },
    { name: 'MODE_ON', value: 1n },
  ]);
  const section = btf.type(btf.find('.rodata', 'datasec'));
  assert.ok(section.members.some(({ name }) => name === 'wide'));
  const text = btf.type(btf.find('text', 'var'));
  let target = btf.type(text.type);
  while (target.kind === 'const' || target.kind === 'volatile') target = btf.type(target.type);
  assert.deepEqual([target.kind, target.length], ['array', 8]);
  btf.close();
});

/** BTF as in vmlinux or a module: header, types of whole words, strings. */
function rawBtf(types: readonly number[], strings: string): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt16LE(0xeb9f, 0);
  header.writeUInt8(1, 2);
  header.writeUInt32LE(24, 4);
  header.writeUInt32LE(types.length * 4, 12);
  header.writeUInt32LE(types.length * 4, 16);
  header.writeUInt32LE(strings.length, 20);
  return Buffer.concat([header, Buffer.from(new Uint32Array(types).buffer), Buffer.from(strings)]);
}

test('split BTF outlives the handle of its base', () => {
  const basePath = join(scratch, 'base.btf');
  const splitPath = join(scratch, 'split.btf');
  // A 32-bit signed int, and a typedef of it whose name lies 5 bytes on: after the base's strings.
  writeFileSync(basePath, rawBtf([1, 1 << 24, 4, (1 << 24) | 32], '\0int\0'));
  writeFileSync(splitPath, rawBtf([5, 8 << 24, 1], 'alias\0'));
  const base = native.openBtf(basePath);
  const split = native.openBtf(splitPath, base);
  base.close();
  assert.equal(split.count, 2);
  const alias = split.type(split.find('alias', 'typedef'));
  assert.deepEqual([alias.kind, alias.name, split.type(alias.type).name], ['typedef', 'alias', 'int']);
  split.close();
});

test('refuses what has no BTF', () => {
  const path = join(scratch, 'garbage');
  writeFileSync(path, Buffer.alloc(256, 0x5a));
  assert.throws(() => native.openBtf(path));
  writeFileSync(path, Buffer.from('9feb01001800000000000000ffffff7fffffff7f', 'hex'));
  assert.throws(() => native.openBtf(path));
  assert.throws(() => native.openBtf(scratch), code('EISDIR'));
  assert.throws(() => native.openBtf('/dev/zero'), code('EINVAL'));
  assert.throws(() => native.openBtf(join(scratch, 'absent')), code('ENOENT'));
  assert.throws(() => native.openBtf('/sys/kernel/btf/vmlinux', {} as never), TypeError);
});
