/** The image's file, as far as it can be looked at without building it: test/packaging/image does that. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LAYOUT } from '../../scripts/deb-layout.js';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';

const text = readFileSync(join(PACKAGE_ROOT, 'packaging/container/Containerfile'), 'utf8');
const lines = text.replaceAll('\\\n', ' ').split('\n');
const copied = lines.flatMap((line) => /^COPY (?!--from)(.+) \S+$/.exec(line)?.[1]?.split(' ') ?? []);
const read = (path: string): string => readFileSync(join(PACKAGE_ROOT, path), 'utf8');

test('every source that is copied is in the clone', () => {
  assert.ok(copied.length > 5);
  for (const path of copied) assert.ok(existsSync(join(PACKAGE_ROOT, path)), path);
});

test('all that the package is made of is copied, or built from it', () => {
  const built = ['dist', 'prebuilds', 'node_modules'];
  for (const { from } of LAYOUT) {
    const top = from.split('/')[0] ?? '';
    assert.ok(built.includes(top) || copied.includes(top), from);
  }
});

test('the packages that a build needs are those that the setup installs', () => {
  const needs = /build_needs="\n([^"]+)"/.exec(read('scripts/setup.sh'))?.[1] ?? '';
  const wanted = needs
    .trim()
    .split('\n')
    .map((line) => line.split(/\s+/)[0] ?? '');
  assert.ok(wanted.length > 5);
  const installed =
    /apt-get install -y --no-install-recommends (nodejs[^&]*?)$/m.exec(lines.join('\n'))?.[1] ?? '';
  for (const name of wanted) assert.ok(installed.split(/\s+/).includes(name), name);
});

test('npm scripts that it calls are there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const called = [...text.matchAll(/npm run (\S+)/g)].map(([, name = '']) => name);
  assert.deepEqual(called, ['build:native', 'build:bpf', 'build:ts', 'package:deb']);
  for (const name of called) assert.ok(scripts[name], name);
});

test('no secret is passed in', () => {
  assert.doesNotMatch(text, /^(ARG|ENV)\b|--mount=type=secret|token|password/im);
});
