import assert from 'node:assert/strict';
import { test } from 'node:test';
import { code, compile, native, scratch } from './support.js';

const object = native.openObject(compile('ring'));
object.load();

/** One object of each class that can be had without privileges beyond the tests' own. */
function oneOfEach(): Record<string, { close(): void }> {
  const loaded = native.openObject(compile('tracing'));
  loaded.load();
  const program = loaded.program('count_exits');
  const ring = object.map('ring');
  const watched = native.openObject(compile('ring'));
  watched.load();
  return {
    object: loaded,
    program,
    link: program.attach(),
    map: loaded.map('exits'),
    ring: native.openRingReader(ring, () => {}),
    linker: native.openLinker(`${scratch}/linked.o`),
    btf: native.openBtf(compile('ring')),
    listener: native.openUeventListener(),
    datagrams: native.openDatagramSocket('/nonexistent'),
    watch: native.watchReceivers(watched.map('ring'), null, () => {}),
  };
}

function members(of: object): [string, PropertyDescriptor][] {
  return Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(of))).filter(
    ([name]) => name !== 'constructor',
  );
}

const junk: unknown[] = [
  undefined,
  null,
  true,
  -1,
  0.5,
  Number.NaN,
  2 ** 60,
  1n,
  '',
  'a\0b',
  '/dev/null/nothing',
  Symbol('s'),
  {},
  [],
  () => {},
  Buffer.alloc(0),
  Buffer.alloc(3),
  new Uint8Array(1 << 16),
  new DataView(new ArrayBuffer(4)),
  new Proxy({}, {}),
];

test('every method refuses a foreign this', () => {
  const objects = oneOfEach();
  const receivers: unknown[] = [...Object.values(objects), ...junk];
  for (const [name, own] of Object.entries(objects)) {
    receivers.push(Object.create(own), new Proxy(own, {}));
    for (const [member, descriptor] of members(own)) {
      for (const receiver of receivers) {
        if (receiver === own) continue;
        const call = descriptor.get ?? descriptor.value;
        assert.throws(() => call.call(receiver), Error, `${name}.${member}`);
      }
    }
  }
  for (const own of Object.values(objects)) own.close();
});

test('every method throws ERR_CLOSED after close, which may be repeated', () => {
  for (const [name, own] of Object.entries(oneOfEach())) {
    own.close();
    own.close();
    for (const [member, descriptor] of members(own)) {
      if (member === 'close') continue;
      const call = descriptor.get ?? descriptor.value;
      assert.throws(() => call.call(own), code('ERR_CLOSED'), `${name}.${member}`);
    }
  }
});

test('no class can be constructed from a script', () => {
  const objects = oneOfEach();
  for (const own of Object.values(objects)) {
    const Class = own.constructor as new (...values: unknown[]) => object;
    assert.throws(() => new Class(), TypeError);
    assert.throws(() => new Class(own), TypeError);
    assert.throws(() => (Class as unknown as () => void)(), TypeError);
    assert.throws(() => new (class extends Class {})(), TypeError);
    assert.throws(() => Reflect.construct(Class, [], Object), TypeError);
    own.close();
  }
});

test('any argument is either taken or refused with an error', () => {
  // mountBpffs is left out: a mount that succeeded would stay.
  const functions = Object.entries(native).filter(([name]) => name !== 'mountBpffs');
  const objects = oneOfEach();
  const callables: [string, (...values: unknown[]) => unknown][] = functions.map(([name, value]) => [
    name,
    value as (...values: unknown[]) => unknown,
  ]);
  for (const [name, own] of Object.entries(objects)) {
    for (const [member, descriptor] of members(own)) {
      if (member === 'close' || !descriptor.value) continue;
      callables.push([`${name}.${member}`, descriptor.value.bind(own)]);
    }
  }
  for (const [name, call] of callables) {
    for (const values of junk.flatMap((one) => [[one], ...junk.map((two) => [one, two, one])])) {
      try {
        const made = call(...values) as { close?: () => void } | undefined;
        made?.close?.();
      } catch (error) {
        assert.ok(error instanceof Error, name);
      }
    }
  }
  for (const own of Object.values(objects)) own.close();
});

test('paths with NUL and relative nonsense are refused', () => {
  assert.throws(() => native.openObject('a\0b'), TypeError);
  assert.throws(() => native.openObject(''), TypeError);
  assert.throws(() => native.openLinker('a\0b'), TypeError);
  assert.throws(() => native.mountBpffs('/no/such/directory'), code('ENOENT'));
  assert.throws(() => native.mountBpffs(3 as never), TypeError);
});

test('an ioctl gives its result or its errno', () => {
  const getNamespaceType = 0xb703;
  assert.equal(native.ioctl('/proc/self/ns/user', getNamespaceType, 0), 0x10000000);
  assert.equal(native.ioctl('/dev/null', getNamespaceType, 0), -25);
  assert.throws(() => native.ioctl('/no/such/file', getNamespaceType, 0), code('ENOENT'));
  assert.throws(() => native.ioctl('/dev/null', -1, 0), RangeError);
});
