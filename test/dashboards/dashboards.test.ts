import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { tempFolder } from '../support/temp-folder.js';
import { fillVariables, panelsOf, readDashboards } from './dashboard-file.js';
import { labelsOfQuery, problemsOf, readKnownSeries } from './known-series.js';

const SOURCE = '$' + '{datasource}';

const dashboards = readDashboards();
const panels = dashboards.flatMap(panelsOf);
const targets = panels.flatMap(({ title, targets: all }) => all.map((target) => ({ title, ...target })));

test('there is one of the fleet, of devices, of loopfs, and of the agents', () => {
  assert.deepEqual(dashboards.map(({ uid }) => uid).sort(), [
    'loopwarden-agent',
    'loopwarden-device',
    'loopwarden-loopfs',
    'loopwarden-overview',
  ]);
  for (const { title, description } of dashboards) assert.ok(title && description);
});

test('every panel has a unit, a description, queries, and the data source that is chosen on the page', () => {
  for (const { uid, templating } of dashboards)
    assert.ok(
      templating.list.some(({ name, type }) => name === 'datasource' && type === 'datasource'),
      uid,
    );
  assert.ok(panels.length > 40);
  for (const { title, description, datasource, fieldConfig, targets: queries } of panels) {
    assert.match(description ?? '', /^[A-Za-z0-9].*\.$/, title);
    assert.ok(fieldConfig.defaults.unit, title);
    assert.ok(queries.length > 0, title);
    for (const { uid } of [datasource, ...queries.map((query) => query.datasource)])
      assert.equal(uid, SOURCE, title);
    assert.equal(new Set(queries.map(({ refId }) => refId)).size, queries.length, title);
  }
});

test('no two panels have the same id, or lie over each other', () => {
  for (const dashboard of dashboards) {
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length, dashboard.uid);
    const taken = new Set<string>();
    for (const { title, gridPos } of dashboard.panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x},${y}`), `${dashboard.uid}: ${title}`);
          taken.add(`${x},${y}`);
        }
      }
    }
  }
});

test('promtool takes every query', (t) => {
  const path = join(tempFolder(t), 'queries.yaml');
  const rules = targets.map(({ expr }, index) => ({ record: `query_${index}`, expr: fillVariables(expr) }));
  writeFileSync(path, stringify({ groups: [{ name: 'queries', rules }] }));
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', path], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
});

test('every metric, label and label value of the queries exists', async () => {
  const known = await readKnownSeries();
  for (const { title, expr } of targets) assert.deepEqual(problemsOf(fillVariables(expr), known), [], title);
});

test('legends and columns name labels that the queries have', async () => {
  const known = await readKnownSeries();
  for (const { title, expr, legendFormat } of targets) {
    const labels = labelsOfQuery(fillVariables(expr), known);
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
      assert.ok(labels.has(label), `${title}: ${label}`);
  }
  const tables = panels.filter(({ type }) => type === 'table');
  assert.ok(tables.length >= 4);
  for (const {
    title,
    targets: [target],
    transformations = [],
  } of tables) {
    const labels = labelsOfQuery(fillVariables(target?.expr ?? ''), known);
    const columns =
      transformations.find(({ id }) => id === 'filterFieldsByName')?.options.include?.names ?? [];
    assert.ok(columns.length > 0, title);
    for (const column of columns) assert.ok(column === 'Value' || labels.has(column), `${title}: ${column}`);
  }
});

test('what is chosen on the page is asked of metrics and labels that exist', async () => {
  const known = await readKnownSeries();
  const queries = dashboards.flatMap(({ templating }) =>
    templating.list.filter(({ type }) => type === 'query'),
  );
  assert.ok(queries.length >= 8);
  for (const { name, query } of queries) {
    const text = typeof query === 'string' ? query : query.query;
    const [, selector = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(text) ?? [];
    assert.deepEqual(problemsOf(fillVariables(selector), known), [], name);
    assert.ok(labelsOfQuery(fillVariables(selector), known).has(label), text);
  }
});

test('all jobs are those of loopwarden: what every target has is not asked of others', () => {
  for (const { uid, templating } of dashboards)
    assert.equal(templating.list.find(({ name }) => name === 'job')?.allValue, undefined, uid);
  const everyones = targets.filter(({ expr }) => /\b(up|scrape_samples_scraped)\b/.test(expr));
  assert.ok(everyones.length > 0);
  for (const { title, expr } of everyones)
    assert.match(expr, /\b(up|scrape_samples_scraped)\{job=~"\$job"/, title);
});
