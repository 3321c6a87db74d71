/** The chart as far as it can be looked at without rendering its templates: render.test.ts does that where Go is installed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { PACKAGE_ROOT } from '../../../src/kernel/paths.js';
import { unitCapabilities } from '../../support/agent-unit.js';
import { complaints, readChart, valuesOf } from './chart.js';

test('the template asks for the capabilities of the unit’s two processes, and one by which a unit sets a limit; unrendered', () => {
  const template = readChart('templates/daemonset.yaml');
  const added = /^ +add:\n((?: +(?:- \w+|#.*)\n)+)/m.exec(template)?.[1] ?? '';
  const names = [...added.matchAll(/^ +- (\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(names.sort(), [...unitCapabilities(), 'SYS_RESOURCE'].sort());
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
