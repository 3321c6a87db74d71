/** The table of hooks against the BPF objects that it names. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  HOOK_NAMES,
  HOOKS,
  type HookLink,
  hookLinkPairs,
  hookPrograms,
  LINK_KINDS,
  type LinkKind,
} from '../../src/kernel/hooks.js';
import { loadNative } from '../../src/kernel/native.js';
import { AGENT_OBJECTS, GATES_OBJECT } from '../../src/kernel/paths.js';
import { loadPrograms } from '../../src/kernel/programs.js';

const native = loadNative();
const objects = AGENT_OBJECTS.map((path) => native.openObject(path));
after(() => {
  for (const object of objects) object.close();
});
const sections = new Map(
  objects.flatMap(({ programs }) => programs.map(({ name, section }) => [name, section])),
);

const LINKS: readonly HookLink[] = HOOKS.flatMap(({ links }) => links);

test('every program that a link names is in the objects, in a section of that kind of link', () => {
  const forms: Partial<Record<LinkKind, RegExp>> = {
    socket_filter: /^socket$/,
    fentry: /^f(entry|exit)\//,
    kprobe: /^k(ret)?probe\//,
  };
  for (const { kind, programs, place } of LINKS) {
    assert.equal(programs.length > 0, place !== 'agent', kind);
    for (const name of programs)
      assert.match(sections.get(name) ?? '', forms[kind] ?? new RegExp(`^${kind}/`));
  }
});

test('every program that is attached to the kernel or to receivers has a gate, in the same section', () => {
  const gates = native.openObject(GATES_OBJECT);
  const gateSections = new Map(gates.programs.map(({ name, section }) => [name, section]));
  const gated = LINKS.filter(({ place }) => !['listener', 'agent'].includes(place)).flatMap(
    ({ programs }) => programs,
  );
  assert.deepEqual([...gateSections.keys()].sort(), [...new Set(gated)].map((name) => `${name}_gate`).sort());
  for (const name of gated) {
    assert.equal(gateSections.get(`${name}_gate`), sections.get(name));
    assert.ok(gates.maps.includes(`${name}_slots`));
  }
  gates.close();
});

test('every program of the objects is named by a link, or is an iterator', () => {
  const named = new Set(LINKS.flatMap(({ programs }) => programs));
  for (const [name, section] of sections) assert.ok(named.has(name) || section.startsWith('iter'), name);
});

test('each hook is in the table once, and has a link, a purpose and a reason', () => {
  assert.deepEqual(
    HOOKS.map(({ name }) => name),
    [...HOOK_NAMES],
  );
  for (const { purpose, links } of HOOKS) {
    assert.ok(purpose.length > 10 && links.length > 0);
    for (const { why, since, kind } of links) {
      assert.ok(why.length > 20);
      assert.match(since, /^\d+\.\d+$/);
      assert.ok((LINK_KINDS as readonly string[]).includes(kind));
    }
  }
});

test('no hook has two links of one kind: the label pairs of hook_attached are unique', () => {
  const pairs = hookLinkPairs().map(({ hook, link }) => `${hook} ${link}`);
  assert.deepEqual([...new Set(pairs)], pairs);
  assert.equal(pairs.length, LINKS.length);
});

test('what sees the return of an ioctl is attached before what sees its call', () => {
  const isReturn = (name: string): boolean => /_(fexit|kretprobe|exit_tp_btf)$/.test(name);
  for (const { programs, kind } of HOOKS.find(({ name }) => name === 'loop_ioctl')?.links ?? []) {
    const order = programs.map(isReturn);
    assert.deepEqual(order, [...order].sort().reverse(), kind);
    assert.ok(order.includes(true) && order.includes(false));
  }
});

test('the programs of the chosen links load together, and no other with them', () => {
  assert.deepEqual([...new Set(hookPrograms())], hookPrograms());
  // The links that every kernel takes.
  const names = HOOKS.flatMap(({ links }) => links.at(-1)?.programs ?? []).filter(
    (name, at, all) => all.indexOf(name) === at,
  );
  const loaded = loadPrograms(native, { programs: names, reuse: new Map(), sizes: {} });
  try {
    for (const name of names) assert.ok(loaded.program(name).id > 0, name);
    assert.throws(() => loaded.program('list_receivers'), { code: 'ERR_INTERNAL' });
    assert.throws(() => loaded.map('no_such_map'), { code: 'ERR_INTERNAL' });
  } finally {
    loaded.close();
  }
});

test('sizes are those that were asked for, but for maps that are taken over', () => {
  const first = loadPrograms(native, {
    programs: [],
    reuse: new Map(),
    sizes: { owners: 64, events: 65_536 },
  });
  try {
    assert.deepEqual([first.map('owners').maxEntries, first.map('events').maxEntries], [64, 65_536]);
    const reuse = new Map([['owners', first.map('owners')]]);
    const second = loadPrograms(native, { programs: [], reuse, sizes: { owners: 128 } });
    try {
      assert.equal(second.map('owners').id, first.map('owners').id);
      assert.equal(second.map('owners').maxEntries, 64);
    } finally {
      second.close();
    }
  } finally {
    first.close();
  }
});
