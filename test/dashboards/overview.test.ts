import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { tempFolder } from '../support/temp-folder.js';
import { renderFixture, unknownMetrics } from './known-metrics.js';

interface Panel {
  id: number;
  title: string;
  type: string;
  description?: string;
  datasource: { uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: { defaults: { unit?: string } };
  targets: { expr: string; datasource: { uid: string } }[];
}

const dashboard = JSON.parse(
  readFileSync(new URL('../../dashboards/loopwarden-overview.json', import.meta.url), 'utf8'),
) as { panels: Panel[]; templating: { list: { name: string; type: string }[] } };
const exprs = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

test('every panel has a unit, a description, queries, and the data source that is chosen on the page', () => {
  assert.ok(
    dashboard.templating.list.some(({ name, type }) => name === 'datasource' && type === 'datasource'),
  );
  for (const { title, description, datasource, fieldConfig, targets } of dashboard.panels) {
    assert.ok(description, title);
    assert.ok(fieldConfig.defaults.unit, title);
    assert.ok(targets.length > 0, title);
    for (const { uid } of [datasource, ...targets.map((target) => target.datasource)]) {
      assert.equal(uid, `\${datasource}`, title);
    }
  }
  assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
});

test('no two panels lie over each other', () => {
  const taken = new Set<string>();
  for (const { title, gridPos } of dashboard.panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x},${y}`), title);
        taken.add(`${x},${y}`);
      }
    }
  }
});

test('promtool takes every query', (t) => {
  const path = join(tempFolder(t), 'queries.yaml');
  const rules = exprs.map((expr, index) => ({ record: `query_${index}`, expr: fillVariables(expr) }));
  writeFileSync(path, stringify({ groups: [{ name: 'queries', rules }] }));
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', path], { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
});

test('every metric of the dashboard exists', async () => {
  assert.deepEqual(unknownMetrics(exprs, await renderFixture()), []);
});

// As Grafana does before it asks.
function fillVariables(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*');
}
