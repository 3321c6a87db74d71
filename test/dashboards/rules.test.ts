import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { problemsOf, readKnownSeries } from './known-series.js';
import {
  alerts,
  RULE_FILE,
  readGroups,
  recordings,
  UNIT_TESTS,
  unitTestFiles,
  unitTests,
} from './rule-file.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

function promtool(...args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, {
    cwd: UNIT_TESTS,
    encoding: 'utf8',
  });
  assert.equal(status, 0, error ? String(error) : stdout + stderr);
}

test('promtool takes the rules', () => {
  promtool('check', 'rules', '--lint=all', '--lint-fatal', RULE_FILE);
});

for (const file of unitTestFiles()) {
  test(`alerts fire and stay quiet, rules record as their unit tests say: ${file}`, () => {
    promtool('test', 'rules', file);
  });
}

test('every alert is unit-tested both ways: it fires, not at once, and not for a host that is well', () => {
  for (const { alert } of alerts()) {
    const units = unitTests().filter(({ name }) => name.split(' ')[0] === alert);
    const looks = units.flatMap(({ alert_rule_test: looked = [] }) =>
      looked.filter(({ alertname }) => alertname === alert),
    );
    assert.ok(
      looks.some(({ exp_alerts }) => (exp_alerts ?? []).length > 0),
      `${alert} fires`,
    );
    assert.ok(
      looks.some(({ exp_alerts }) => (exp_alerts ?? []).length === 0),
      `${alert} is quiet at some time`,
    );
    assert.ok(
      units.some(({ input_series }) => input_series.some(({ series }) => series.includes('instance="b"'))),
      `${alert} has a host that is well`,
    );
  }
});

test('every recording rule is unit-tested', () => {
  const asked = readFileSync(`${UNIT_TESTS}recording.yaml`, 'utf8');
  for (const { record } of recordings()) assert.ok(asked.includes(`expr: ${record}\n`), record);
});

test('every alert says how bad it is, what it is, and which page says what to do; no page is without one', () => {
  const all = alerts();
  assert.ok(all.length >= 18);
  for (const { alert, labels, annotations } of all) {
    assert.match(alert, /^Loopwarden[A-Z]\w+$/);
    assert.match(labels.severity ?? '', /^(info|warning|critical)$/, alert);
    assert.ok(annotations.summary && annotations.description, alert);
    assert.equal(annotations.runbook, `docs/runbook/${alert}.md`);
    assert.ok(existsSync(`${ROOT}docs/runbook/${alert}.md`), `docs/runbook/${alert}.md`);
    const page = readFileSync(`${ROOT}docs/runbook/${alert}.md`, 'utf8');
    assert.ok(page.startsWith(`# ${alert}\n`), alert);
    for (const part of ['What it means', 'What to do'])
      assert.ok(page.includes(`\n## ${part}\n`), `${alert}: ${part}`);
  }
  assert.deepEqual(readdirSync(`${ROOT}docs/runbook`).sort(), all.map(({ alert }) => `${alert}.md`).sort());
});

test('names are given once', () => {
  const names = readGroups().flatMap(({ rules }) =>
    rules.map((rule) => ('alert' in rule ? rule.alert : rule.record)),
  );
  assert.equal(new Set(names).size, names.length);
});

test('every metric, label and label value of the rules exists', async () => {
  const known = await readKnownSeries();
  for (const { expr } of [...recordings(), ...alerts()]) assert.deepEqual(problemsOf(expr, known), []);
});

test('and what does not exist would be found', async () => {
  const known = await readKnownSeries();
  for (const [expr, problem] of [
    ['loopwarden_gone_total', /no metric loopwarden_gone_total/],
    ['loopwarden_orphans{container="x"}', /no label container/],
    ['loopwarden_filter_mode{mode="hidden"}', /no mode="hidden"/],
    ['loopwarden_drops_total{reason=~"ring_full|ring_empty"}', /no reason="ring_empty"/],
    ['sum by (container) (loopwarden_orphans)', /no metric here has the label container/],
    ['sum(instance:loopwarden_ring_fill:ratio{command="x"})', /no label command/],
  ] as const)
    assert.match(problemsOf(expr, known).join(), problem, expr);
  assert.throws(() => problemsOf('sum by (job (up)', known), /no PromQL/);
});
