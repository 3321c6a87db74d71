import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NativeError } from '../../src/kernel/native.js';
import { code, compile, native, root, scratch, u32, u64 } from './support.js';

test('lists programs and maps of an object that is not loaded', () => {
  const object = native.openObject(compile('maps'));
  assert.deepEqual(
    object.programs.map(({ name, section }) => [name, section]),
    [
      ['count', 'socket'],
      ['rejected', 'socket'],
    ],
  );
  assert.ok(object.programs.every(({ instructions }) => instructions > 0));
  for (const name of ['words', 'array', 'per_cpu', 'queue']) assert.ok(object.maps.includes(name));
  assert.throws(() => object.map('words'), code('EINVAL'));
  assert.throws(() => object.program('count'), code('EINVAL'));
  object.close();
});

test('reads and writes integer globals by their type', () => {
  const object = native.openObject(compile('maps'));
  assert.equal(object.getGlobal('small'), 7n);
  assert.equal(object.getGlobal('negative'), -2n);
  assert.equal(object.getGlobal('wide'), 0x123456789abcdef0n);
  assert.equal(object.getGlobal('flag'), 1n);
  assert.equal(object.getGlobal('mode'), 1n);
  assert.equal(object.getGlobal('scale'), 3n);
  object.setGlobal('small', 255);
  assert.equal(object.getGlobal('small'), 255n);
  object.setGlobal('negative', -(2n ** 31n));
  assert.equal(object.getGlobal('negative'), -(2n ** 31n));
  object.setGlobal('wide', 2n ** 64n - 1n);
  assert.equal(object.getGlobal('wide'), 2n ** 64n - 1n);
  assert.throws(() => object.setGlobal('small', 256), RangeError);
  assert.throws(() => object.setGlobal('small', -1), RangeError);
  assert.throws(() => object.setGlobal('flag', 2), RangeError);
  assert.throws(() => object.setGlobal('negative', 2n ** 31n), RangeError);
  assert.throws(() => object.setGlobal('wide', 2n ** 64n), RangeError);
  assert.throws(() => object.setGlobal('wide', -1n), RangeError);
  assert.throws(() => object.setGlobal('wide', 0.5), RangeError);
  assert.throws(() => object.setGlobal('wide', Number.NaN), RangeError);
  assert.throws(() => object.setGlobal('wide', 2 ** 53), RangeError);
  assert.throws(() => object.setGlobal('wide', '1' as unknown as number), TypeError);
  assert.throws(() => object.getGlobal('text'), code('EINVAL'));
  assert.throws(() => object.getGlobal('absent'), code('ENOENT'));
  object.setGlobal('small', 42);
  object.load();
  const program = object.program('count');
  assert.equal(program.testRun(Buffer.alloc(64)).result, 42);
  assert.throws(() => object.setGlobal('small', 1), code('EBUSY'));
  program.close();
  object.close();
});

test('leaves a program of an optional section out unless asked', () => {
  const object = native.openObject(compile('maps'));
  assert.throws(() => object.setAutoload('absent', true), code('ENOENT'));
  object.setAutoload('count', false);
  object.load();
  assert.throws(() => object.program('count'), code('ENOENT'));
  assert.throws(() => object.program('rejected'), code('ENOENT'));
  assert.throws(() => object.setAutoload('count', true), code('EBUSY'));
  assert.throws(() => object.load(), code('EBUSY'));
  object.close();
});

test("tells the verifier's own words when it refuses a program", () => {
  const object = native.openObject(compile('maps'));
  object.setAutoload('rejected', true);
  assert.throws(
    () => object.load(),
    (error: NativeError) => {
      assert.equal(error.code, 'EACCES');
      assert.equal(error.errno, 13);
      assert.equal(error.operation, 'load');
      assert.match(error.log ?? '', /rejected/);
      assert.match(error.log ?? '', /invalid mem access 'scalar'/);
      assert.ok((error.log ?? '').length <= 20 * 1024);
      return true;
    },
  );
  assert.throws(() => object.map('words'), code('EINVAL'));
  assert.throws(() => object.load(), code('EBUSY'));
  object.close();
});

test('changes the number of entries before the load only', () => {
  const object = native.openObject(compile('maps'));
  object.setMaxEntries('words', 17);
  assert.throws(() => object.setMaxEntries('words', 0), RangeError);
  assert.throws(() => object.setMaxEntries('words', 2 ** 32), RangeError);
  assert.throws(() => object.setMaxEntries('absent', 1), code('ENOENT'));
  object.load();
  const words = object.map('words');
  assert.equal(words.maxEntries, 17);
  assert.throws(() => object.setMaxEntries('words', 18), code('EBUSY'));
  words.close();
  object.close();
});

test('makes no map that is not to be made', () => {
  const object = native.openObject(compile('maps'));
  object.setAutocreate('words', false);
  object.setAutocreate('array', false);
  object.setAutocreate('array', true);
  assert.throws(() => object.setAutocreate('absent', false), code('ENOENT'));
  assert.throws(() => object.setAutocreate('words', 0 as never), TypeError);
  object.load();
  assert.throws(() => object.map('words'), code('ENOENT'));
  object.map('array').close();
  assert.throws(() => object.setAutocreate('words', true), code('EBUSY'));
  object.close();
});

test('joins two objects that share a map and a constant', () => {
  const joined = join(scratch, 'joined.o');
  const linker = native.openLinker(joined);
  linker.addFile(compile('link-first'));
  linker.addFile(compile('link-second'));
  linker.finalize();
  assert.throws(() => linker.finalize(), code('EINVAL'));
  assert.throws(() => linker.addFile(compile('link-first')), code('EINVAL'));
  linker.close();
  const object = native.openObject(joined);
  assert.deepEqual(object.programs.map(({ name }) => name).sort(), ['first', 'second']);
  object.setGlobal('step', 20);
  object.load();
  object.program('first').testRun(Buffer.alloc(64));
  assert.equal(object.program('second').testRun(Buffer.alloc(64)).result, 40);
  assert.deepEqual(object.map('shared').get(u32(1)), u64(20n));
  object.close();
});

test('describes a loaded program', () => {
  const object = native.openObject(compile('maps'));
  object.load();
  const program = object.program('count');
  object.close();
  assert.equal(program.name, 'count');
  assert.ok(program.fd > 2 && program.id > 0 && program.verifiedInstructions > 5);
  assert.equal(typeof program.stats().runs, 'bigint');
  assert.equal(program.stats().missed, 0n);
  assert.throws(() => program.attach(), code('EOPNOTSUPP'));
  assert.throws(() => program.testRun(Buffer.alloc(64), 0), RangeError);
  assert.throws(() => program.testRun(Buffer.alloc(1)), code('EINVAL'));
  program.close();
});

test('refuses what is no BPF object', () => {
  const whole = readFileSync(compile('maps'));
  const path = join(scratch, 'broken.o');
  assert.throws(() => native.openObject(join(scratch, 'absent.o')), code('ENOENT'));
  assert.throws(() => native.openObject(scratch), code('EISDIR'));
  assert.throws(() => native.openObject('/dev/zero'), code('EINVAL'));
  assert.throws(() => native.openObject(process.execPath));
  for (let size = 0; size < whole.length; size += 61) {
    writeFileSync(path, whole.subarray(0, size));
    assert.throws(() => native.openObject(path), code('ENOEXEC'));
    const linker = native.openLinker(join(scratch, 'broken-joined.o'));
    assert.throws(() => linker.addFile(path), code('ENOEXEC'));
    linker.close();
  }
  writeFileSync(path, Buffer.alloc(4096, 0xa5));
  assert.throws(() => native.openObject(path), code('ENOEXEC'));
  assert.throws(() => native.openLinker('/proc/no/such/place.o'), code('ENOENT'));
});

test('loads programs whatever signals come meanwhile', () => {
  const script = join(scratch, 'load.cjs');
  const objects = ['uevent_filter', 'gates'].map((name) => join(root, `dist/bpf/${name}.bpf.o`));
  writeFileSync(
    script,
    `const native = require('node-gyp-build')(${JSON.stringify(root)});
     for (const path of ${JSON.stringify(objects)}) {
       const object = native.openObject(path);
       for (const { name, section } of object.programs) object.setAutoload(name, /^.?socket$/.test(section));
       object.load();
       object.close();
     }`,
  );
  // The profiler sends one every tenth of a millisecond.
  const profiled = ['--cpu-prof', '--cpu-prof-interval=100', `--cpu-prof-dir=${scratch}`, script];
  execFileSync(process.execPath, profiled, {
    env: { ...process.env, NODE_PATH: join(root, 'node_modules') },
  });
});
