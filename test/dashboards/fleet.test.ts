/** The examples of docs/fleet.md are such as Prometheus takes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { makeCertificate } from '../support/certificates.js';
import { tempFolder } from '../support/temp-folder.js';
import { problemsOf, readKnownSeries } from './known-series.js';
import { alerts, RULE_FILE } from './rule-file.js';

const text = readFileSync(new URL('../../docs/fleet.md', import.meta.url), 'utf8');

/** The code blocks of a language, the first line of which says what file it is. */
function examples(language: string, file = ''): string[] {
  const blocks = [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    ([, code = '']) => code,
  );
  return blocks.filter((code) => file === '' || code.startsWith(`# ${file}\n`));
}

test('promtool takes every Prometheus config', (t) => {
  const folder = tempFolder(t);
  copyFileSync(RULE_FILE, join(folder, 'loopwarden-rules.yaml'));
  writeFileSync(join(folder, 'loopwarden-hosts.yaml'), '- targets: [localhost:9847]\n');
  makeCertificate(folder, 'prometheus', makeCertificate(folder, 'ca'));
  const configs = examples('yaml', 'prometheus.yml');
  assert.equal(configs.length, 3);
  for (const config of configs) {
    const path = join(folder, 'prometheus.yml');
    writeFileSync(path, config);
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'config', path], { encoding: 'utf8' });
    assert.equal(status, 0, `${config}\n${stdout}${stderr}`);
  }
});

test('the routes of Alertmanager speak of alerts that exist', () => {
  const [config = ''] = examples('yaml', 'alertmanager.yml');
  const { route, inhibit_rules } = parse(config);
  assert.equal(route.routes.length + inhibit_rules.length, 3);
  const names = new Set(alerts().map(({ alert }) => alert));
  const asked = [...config.matchAll(/alertname!?="(\w+)"/g)].map(([, name = '']) => name);
  assert.ok(asked.length >= 4);
  for (const name of asked) assert.ok(names.has(name), name);
});

test('every YAML example is YAML, and every query asks for what exists', async () => {
  for (const code of examples('yaml')) assert.ok(parse(code), code);
  const known = await readKnownSeries();
  const queries = examples('promql');
  assert.ok(queries.length > 0);
  for (const query of queries) assert.deepEqual(problemsOf(query, known), []);
});
