/**
 * Writes the tables of the docs that the code knows better: config keys and exit codes into docs/config.md, metrics into
 * docs/metrics.md, alerts into docs/runbook.md, counted series into docs/fleet.md, shapes of cgroups into docs/containers.md,
 * and the man pages; and the dashboards (scripts/dashboards). `--check` compares with what is there and exits 1 if it differs.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { renderConfigReference } from '../src/config/reference.js';
import { ERRORS, EXIT } from '../src/errors.js';
import { CGROUPFS_POD_SHAPES, CONTAINER_SHAPES, POD_SHAPES, type Shape } from '../src/identity/shapes.js';
import { createMetrics } from '../src/sinks/metrics.js';
import { metricsFixture } from '../test/metrics-fixture.js';
import { alertTable } from './alert-table.js';
import { dashboardFiles } from './dashboards/all.js';
import { manPages } from './man-pages.js';
import { fleetTable, seriesTable } from './series-table.js';

const EXIT_WORDS: Record<keyof typeof EXIT, string> = {
  ok: 'fine',
  no: 'the answer is no',
  usage: 'usage or config',
  agentNotRunning: 'no agent is running',
  notPermitted: 'not permitted',
  kernelLacks: 'the kernel lacks what is needed',
};

function exitTable(): string {
  const rows = Object.entries(EXIT).map(([name, code]) => {
    const errors = Object.entries(ERRORS).filter(([, error]) => error.exitCode === code);
    const names = errors.map(([error]) => `\`${error}\``).join(', ');
    return `| ${code} | ${EXIT_WORDS[name as keyof typeof EXIT]} | ${names} |\n`;
  });
  return `| Exit code | Meaning | Errors |\n| --- | --- | --- |\n${rows.join('')}`;
}

async function metricsTable(): Promise<string> {
  const text = await createMetrics(metricsFixture(), {
    deviceInfo: true,
    deviceInfoLimit: 10,
  }).renderMetrics();
  const help = new Map(
    [...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name = '', words = '']) => [name, words]),
  );
  const type = new Map(
    [...text.matchAll(/^# TYPE (\S+) (.*)$/gm)].map(([, name = '', kind = '']) => [name, kind]),
  );
  const rows = [...help].map(([name, words]) => {
    const labels = /^[^{]*\{([^}]*)\}/m.exec(
      text.split('\n').find((line) => line.startsWith(name) && line.includes('{') && !line.startsWith('#')) ??
        '',
    );
    const names = [...(labels?.[1] ?? '').matchAll(/(\w+)=/g)]
      .map(([, label]) => label)
      .filter((label) => label !== 'le');
    return `| \`${name}\` | ${type.get(name)} | ${names.join(', ')} | ${words} |\n`;
  });
  return `| Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n${rows.join('')}`;
}

function shapesTable(): string {
  const rows = [...POD_SHAPES, ...CGROUPFS_POD_SHAPES, ...CONTAINER_SHAPES].map(
    ({ runtime, path, place, confidence, delegated }: Shape) =>
      `| ${runtime} | \`${path}\` | ${place ?? ''} | ${delegated ? 'low' : (confidence ?? 'high')} |\n`,
  );
  return `| Runtime | Path | Place | Confidence |\n| --- | --- | --- | --- |\n${rows.join('')}`;
}

/** Puts `table` between the markers `<!-- name -->` and `<!-- /name -->`. */
function between(text: string, name: string, table: string): string {
  const [head, rest] = text.split(`<!-- ${name} -->`);
  const tail = rest?.split(`<!-- /${name} -->`)[1];
  if (head === undefined || tail === undefined) throw new Error(`no markers for ${name}`);
  return `${head}<!-- ${name} -->\n${table}<!-- /${name} -->${tail}`;
}

const check = process.argv.includes('--check');

function update(path: string, change: (text: string) => string): boolean {
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const after = change(before);
  if (before === after) return true;
  if (check) console.error(`${path} is not what the code says: run npm run generate`);
  else writeFileSync(path, after);
  return !check;
}

/** Writes all generated files of a folder, and removes those that are no longer made. */
function updateFolder(
  folder: string,
  files: readonly { file: string; text: string }[],
  suffix: string,
): boolean[] {
  if (!check) mkdirSync(folder, { recursive: true });
  const stale = readdirSync(folder).filter(
    (name) => name.endsWith(suffix) && !files.some(({ file }) => file === name),
  );
  for (const name of stale) {
    if (check) console.error(`${folder}/${name} is not made by anything: run npm run generate`);
    else rmSync(`${folder}/${name}`);
  }
  return [
    stale.length === 0 || !check,
    ...files.map(({ file, text }) => update(`${folder}/${file}`, () => text)),
  ];
}

const exits = Object.entries(EXIT).map(
  ([name, code]) => [code, EXIT_WORDS[name as keyof typeof EXIT]] as const,
);
const table = await metricsTable();
const [series, fleet] = [await seriesTable(), await fleetTable()];
const fresh = [
  update('docs/config.md', (text) =>
    between(between(text, 'config', renderConfigReference()), 'exit-codes', exitTable()),
  ),
  update('docs/metrics.md', (text) => between(text, 'metrics', table)),
  update('docs/runbook.md', (text) => between(text, 'alerts', alertTable())),
  update('docs/fleet.md', (text) => between(between(text, 'series', series), 'fleet', fleet)),
  update('docs/containers.md', (text) => between(text, 'shapes', shapesTable())),
  ...updateFolder('packaging/man', manPages(exits), ''),
  ...updateFolder('dashboards', dashboardFiles(), '.json'),
];
process.exitCode = fresh.every(Boolean) ? 0 : 1;
