/** The chart as Helm itself takes it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { PACKAGE_ROOT } from '../../../src/kernel/paths.js';
import { tempFolder } from '../../support/temp-folder.js';
import { CHART, helm, manifestsOf, ofKind, readChart, renderChart } from './chart.js';

test('Helm finds no fault with it', async () => {
  const { code, stdout, stderr } = await helm(['lint', '--strict', CHART]);
  assert.equal(code, 0, stdout + stderr);
  // A warning fails by itself.
  assert.match(stdout, /1 chart\(s\) linted, 0 chart\(s\) failed/);
});

test('wrong values are refused, by the schema', async () => {
  for (const [path, wrong] of [
    ['', { htpp: {} }],
    ['/http/port', { http: { port: 80 } }],
    ['/config', { config: { http: { port: 1 } } }],
    ['/seccompProfile/type', { seccompProfile: { type: 'Unconfined' } }],
    ['/runtimePaths/0', { runtimePaths: ['relative'] }],
  ] as const)
    await assert.rejects(
      renderChart(wrong),
      ({ message }: Error) => /schema/.test(message) && message.includes(`at '${path}'`),
      JSON.stringify(wrong),
    );
});

test('a cluster that is too old is refused', async () => {
  const templateFor = (version: string) =>
    helm(['template', CHART, '--kube-version', version], { appArmorProfile: null });
  const oldest = await templateFor('1.25.0');
  assert.equal(oldest.code, 0, oldest.stderr);
  assert.equal(ofKind(manifestsOf(oldest.stdout), 'DaemonSet').length, 1);
  assert.doesNotMatch(oldest.stdout, /appArmorProfile/, 'which came with 1.30');
  const older = await templateFor('1.24.0');
  assert.notEqual(older.code, 0);
  assert.match(older.stderr, /chart requires kubeVersion/);
});

test('packaged, it has the rules and dashboards of the clone, to which it only links', (t) => {
  const folder = tempFolder(t);
  execFileSync('helm', ['package', CHART, '--destination', folder], { stdio: 'ignore' });
  const { version } = parse(readChart('Chart.yaml')) as Record<string, string>;
  execFileSync('tar', ['-xzf', `loopwarden-${version}.tgz`], { cwd: folder });
  const packed = join(folder, 'loopwarden/dashboards');
  const ours = join(PACKAGE_ROOT, 'dashboards');
  assert.deepEqual(readdirSync(packed).sort(), readdirSync(ours).sort());
  for (const name of readdirSync(ours))
    assert.equal(readFileSync(join(packed, name), 'utf8'), readFileSync(join(ours, name), 'utf8'));
});

test('chart and package have one version', () => {
  const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  const chart = parse(readChart('Chart.yaml')) as Record<string, string>;
  assert.deepEqual([chart.version, chart.appVersion], [version, version]);
});
