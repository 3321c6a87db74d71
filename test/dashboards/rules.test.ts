import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { renderFixture, unknownMetrics } from './known-metrics.js';

const DASHBOARDS = fileURLToPath(new URL('../../dashboards/', import.meta.url));

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

const groups = parse(readFileSync(`${DASHBOARDS}loopwarden-rules.yaml`, 'utf8')).groups as {
  rules: Rule[];
}[];
const rules = groups.flatMap((group) => group.rules);
const alerts = rules.filter(({ alert }) => alert !== undefined);

function promtool(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: DASHBOARDS, encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

test('promtool takes the rules, and each alert fires and stays quiet as its unit test says', () => {
  promtool('check', 'rules', '--lint=all', '--lint-fatal', 'loopwarden-rules.yaml');
  promtool('test', 'rules', 'loopwarden-rules.test.yaml');
});

test('every alert is unit-tested both ways: some time or host quiet, some firing', () => {
  const file = parse(readFileSync(`${DASHBOARDS}loopwarden-rules.test.yaml`, 'utf8'));
  const tests = file.tests as {
    name: string;
    input_series: { series: string }[];
    alert_rule_test?: { exp_alerts?: unknown[] }[];
  }[];
  for (const { alert } of alerts) {
    const unit = tests.find(({ name }) => name === alert);
    assert.ok(unit !== undefined, `${alert} has a unit test`);
    assert.ok(
      unit.alert_rule_test?.some(({ exp_alerts }) => exp_alerts?.length === 1),
      `${alert} fires for one host`,
    );
    assert.ok(
      unit.input_series.some(({ series }) => series.includes('instance="b"')),
      `${alert} has a quiet host`,
    );
  }
});

test('every alert says how bad it is, what it is, and where to read what to do', () => {
  const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
  for (const { alert, labels, annotations } of alerts) {
    assert.match(labels?.severity ?? '', /^(warning|critical)$/, alert);
    assert.ok(annotations?.summary && annotations.description, alert);
    assert.equal(annotations.runbook, `docs/runbook.md#${alert?.toLowerCase()}`);
    assert.ok(runbook.includes(`\n## ${alert}\n`), `${alert} is in the runbook`);
  }
});

test('every metric of the rules exists', async () => {
  const recorded = rules.flatMap(({ record }) => (record === undefined ? [] : [record]));
  const known = await renderFixture();
  assert.deepEqual(
    unknownMetrics(
      rules.map(({ expr }) => expr),
      known,
      recorded,
    ),
    [],
  );
});
