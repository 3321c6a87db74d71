/** The chart as far as it can be looked at without rendering its templates: render.test.ts does that where Go is installed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { PACKAGE_ROOT } from '../../../src/kernel/paths.js';
import { complaints, readChart, valuesOf } from './chart.js';

test('the template asks for the capabilities of the unit, and one by which a unit sets a limit; unrendered', () => {
  const unit = readFileSync(join(PACKAGE_ROOT, 'packaging/systemd/loopwarden.service'), 'utf8');
  const ofUnit = /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.replaceAll('CAP_', '').split(' ') ?? [];
  const template = readChart('templates/daemonset.yaml');
  const added = /^ +add:\n((?: +(?:- \w+|#.*)\n)+)/m.exec(template)?.[1] ?? '';
  const names = [...added.matchAll(/^ +- (\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(names, [...ofUnit, 'SYS_RESOURCE']);
  assert.match(template, /^ +drop: \[ALL\]$/m);
  assert.match(template, /^ +privileged: false$/m);
});

test('wrong values are refused by the schema', () => {
  assert.deepEqual(complaints(valuesOf({})), []);
  for (const wrong of [
    { htpp: {} },
    { http: { port: 80 } },
    { config: { http: { port: 1 } } },
    { seccompProfile: { type: 'Unconfined' } },
    { runtimePaths: ['relative'] },
  ])
    assert.notDeepEqual(complaints(valuesOf(wrong)), [], JSON.stringify(wrong));
});

test('chart and package have one version', () => {
  const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  const chart = parse(readChart('Chart.yaml')) as Record<string, string>;
  assert.deepEqual([chart.version, chart.appVersion], [version, version]);
});
