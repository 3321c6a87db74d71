/** The chart, rendered as Helm would: values checked by the schema, templates run by Go's own engine. Helm itself is not in Debian. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Ajv } from 'ajv';
import { parse, parseAllDocuments } from 'yaml';
import { PACKAGE_ROOT } from '../../../src/kernel/paths.js';

const CHART = join(PACKAGE_ROOT, 'packaging/helm/loopwarden');
const RENDERER = join(PACKAGE_ROOT, 'test/packaging/helm/render.go');
/** Where Debian's golang-…-dev packages put their sources. */
const GOPATH = '/usr/share/gocode';

type Values = Record<string, unknown>;

// biome-ignore lint/suspicious/noExplicitAny: manifests are read as they come
export type Manifest = any;

export const readChart = (path: string): string => readFileSync(join(CHART, path), 'utf8');
/** `given` over the chart's own, as Helm merges them. */
export const valuesOf = (given: Values): Values =>
  mergeValues(parse(readChart('values.yaml')) as Values, given);

/** What the schema says against the values; empty if nothing. */
export function complaints(values: Values): string[] {
  const validate = new Ajv({ allErrors: true }).compile(JSON.parse(readChart('values.schema.json')));
  validate(values);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

/** What is to be installed first; undefined: nothing. */
export function rendererLacks(): string | undefined {
  const needs = [
    '/usr/bin/go',
    join(GOPATH, 'src/github.com/Masterminds/sprig'),
    join(GOPATH, 'src/gopkg.in/yaml.v3'),
  ];
  return needs.every((path) => existsSync(path))
    ? undefined
    : 'apt-get install golang-go golang-github-masterminds-sprig-dev golang-gopkg-yaml.v3-dev';
}

export function buildRenderer(output: string): void {
  execFileSync('go', ['build', '-o', output, RENDERER], {
    env: { ...process.env, GO111MODULE: 'off', GOPATH, GOFLAGS: '', GOCACHE: `${output}.cache` },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

export interface Rendered {
  manifests: Manifest[];
  notes: string;
}

/** `given`: as by `--values`. Throws with what a template says. */
export function renderChart(renderer: string, given: Values = {}, name = 'loopwarden'): Rendered {
  const values = valuesOf(given);
  const wrong = complaints(values);
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  const { name: chart, version, appVersion } = parse(readChart('Chart.yaml')) as Record<string, string>;
  const { status, stdout, stderr } = spawnSync(renderer, {
    input: JSON.stringify({
      chart: { Name: chart, Version: version, AppVersion: appVersion },
      release: { Name: name, Namespace: 'security', Service: 'Helm' },
      values,
      files: textsOf('dashboards'),
      templates: textsOf('templates'),
    }),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  const texts = JSON.parse(stdout) as Record<string, string>;
  const notes = texts['templates/NOTES.txt'] ?? '';
  delete texts['templates/NOTES.txt'];
  const manifests = Object.entries(texts).flatMap(([path, text]) =>
    parseAllDocuments(text).flatMap((document) => {
      if (document.errors.length > 0) throw new Error(`${path}: ${document.errors[0]?.message}`);
      const manifest = document.toJS() as Manifest;
      return manifest === null ? [] : [manifest];
    }),
  );
  return { manifests, notes };
}

export const ofKind = (manifests: readonly Manifest[], kind: string): Manifest[] =>
  manifests.filter((each) => each.kind === kind);

/** As .helmignore has it. */
function textsOf(folder: string): Record<string, string> {
  const names = readdirSync(join(CHART, folder)).filter((each) => !each.endsWith('.test.yaml'));
  return Object.fromEntries(
    names.map((each) => [relative(CHART, join(CHART, folder, each)), readChart(join(folder, each))]),
  );
}

/** As Helm's: objects key by key, all else replaced. */
function mergeValues(base: Values, over: Values): Values {
  const merged: Values = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    merged[key] = isObject(before) && isObject(value) ? mergeValues(before, value) : value;
  }
  return merged;
}

function isObject(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
