import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { identifyCgroup, unescapeUnit } from '../../src/identity/cgroup-path.js';
import { RUNTIMES } from '../../src/identity/container.js';
import {
  CGROUPFS_POD_SHAPES,
  CONTAINER_SHAPES,
  componentsOf,
  POD_SHAPES,
} from '../../src/identity/shapes.js';
import { CORPUS, NEAR_MISSES } from './corpus.js';

const SHAPES = [...POD_SHAPES, ...CGROUPFS_POD_SHAPES, ...CONTAINER_SHAPES];
const HEX = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);

test('names runtime, id and pod of every path that runtimes are known to make', () => {
  assert.ok(CORPUS.length >= 250, String(CORPUS.length));
  for (const { path, ...expected } of CORPUS) {
    const { runtime, id, pod, confidence } = identifyCgroup(path);
    assert.deepEqual({ runtime, id, ...(pod && { pod }), confidence }, expected, path);
  }
});

test('takes no path for a container’s that only looks like one, and has an answer all the same', () => {
  for (const [path, runtime, id] of NEAR_MISSES) {
    const identity = identifyCgroup(path);
    assert.deepEqual([identity.runtime, identity.id], [runtime, id], path);
    assert.equal(identity.confidence, runtime === 'unknown' ? 'low' : 'high', path);
  }
});

test('the corpus has every runtime, and a path for each shape', () => {
  const seen = new Set([
    ...CORPUS.map(({ runtime }) => runtime),
    ...NEAR_MISSES.map(([, runtime]) => runtime),
  ]);
  // Known by their files alone.
  for (const runtime of RUNTIMES.filter((each) => each !== 'lxd' && each !== 'incus')) {
    assert.ok(seen.has(runtime), runtime);
  }
  assert.ok(SHAPES.length >= 24 && new Set(SHAPES.map(({ runtime }) => runtime)).size >= 11);
  const paths = [...new Set(CORPUS.map(({ path }) => path.replace(/ \(deleted\)$/, '').split('/')))];
  for (const shape of CONTAINER_SHAPES) {
    const components = componentsOf(shape);
    const fits = (parts: string[]) =>
      parts.some((_, at) =>
        components.every((component, offset) => component.test(parts[at + offset] ?? '')),
      );
    assert.ok(paths.some(fits), shape.path);
  }
});

test('the outermost container is the answer, and what it names below itself is told apart', () => {
  const identity = identifyCgroup(`/system.slice/docker-${HEX}.scope/docker/${OTHER}`);
  assert.deepEqual(identity, {
    runtime: 'docker',
    id: HEX,
    unit: `docker-${HEX}.scope`,
    nested: { runtime: 'docker', id: OTHER },
    confidence: 'high',
  });
  const node = identifyCgroup(`/docker/${HEX}/kubepods/besteffort/pod${'0'.repeat(32)}/${OTHER}`);
  assert.deepEqual([node.id, node.pod, node.nested], [HEX, undefined, { runtime: 'kubernetes', id: OTHER }]);
  assert.deepEqual(identifyCgroup('/lxc.payload.web/lxc/inner').nested, { runtime: 'lxc', id: 'inner' });
});

test('what a user made below its own manager is told with its unit, and believed little', () => {
  const path = `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${HEX}.scope/container`;
  assert.deepEqual(identifyCgroup(path), {
    runtime: 'podman',
    id: HEX,
    unit: 'user@1000.service',
    delegated: true,
    confidence: 'low',
  });
});

test('a name that a person chose is the name', () => {
  assert.equal(identifyCgroup('/lxc.payload.web').name, 'web');
  assert.equal(identifyCgroup('/machine.slice/machine-a\\x2db.scope').name, 'a-b');
  assert.equal(identifyCgroup(`/docker/${HEX}`).name, undefined);
});

test('systemd’s escapes are read byte by byte, and what is none stays', () => {
  assert.equal(unescapeUnit('a\\x2db'), 'a-b');
  assert.equal(unescapeUnit('\\xe6\\x97\\xa5本'), '日本');
  assert.equal(unescapeUnit('\\x2'), '\\x2');
  assert.equal(unescapeUnit('\\xZZ'), '\\xZZ');
  assert.equal(unescapeUnit('\\xff'), '\ufffd');
});

test('whatever the path, there is an answer of bounded length, soon', () => {
  const component = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.constantFrom(
      'docker',
      HEX,
      'kubepods',
      `pod${'0'.repeat(32)}`,
      'a.service',
      'x.slice',
      '..',
      'lxc',
      'garden',
    ),
  );
  fc.assert(
    fc.property(fc.array(component, { maxLength: 80 }), (parts) => {
      const identity = identifyCgroup(`/${parts.join('/')}`);
      assert.ok(RUNTIMES.includes(identity.runtime));
      assert.ok(identity.id.length > 0 && identity.id.length <= 255);
      assert.ok(!identity.id.includes('<NA>') || parts.join().includes('<NA>'));
    }),
  );
  const startMs = performance.now();
  for (const hostile of ['lxc.payload.', 'machine.slice/machine-', 'nomad/', '\\x2d', 'a/']) {
    identifyCgroup(`/${hostile.repeat(100_000)}`);
    identifyCgroup(`/machine.slice/machine-qemu\\x2d${hostile.repeat(100_000)}`);
  }
  assert.ok(performance.now() - startMs < 1000);
});
