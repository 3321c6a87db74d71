/** The chart, as Helm itself renders it. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { PACKAGE_ROOT } from '../../../src/kernel/paths.js';
import type { Outcome } from '../../support/shell.js';

export const CHART = join(PACKAGE_ROOT, 'packaging/helm/loopwarden');
const NAMESPACE = 'security';

export type Values = Record<string, unknown>;

// biome-ignore lint/suspicious/noExplicitAny: manifests are read as they come
export type Manifest = any;

export const readChart = (path: string): string => readFileSync(join(CHART, path), 'utf8');

/** Helm with these words, `values` as by `--values`. It keeps nothing, and knows no cluster. */
export function helm(words: readonly string[], values: Values = {}): Promise<Outcome> {
  const env = {
    PATH: process.env.PATH,
    HOME: join(tmpdir(), 'loopwarden-helm-has-no-home'),
    KUBECONFIG: '/dev/null',
  };
  return new Promise((resolve, reject) => {
    const child = execFile(
      'helm',
      [...words, '--values', '-'],
      { env, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number') reject(error);
        else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      },
    );
    child.stdin?.end(stringify(values));
  });
}

/** `values` over the chart's own. @throws with what Helm, the schema or a template says. */
export async function renderChart(values: Values = {}): Promise<{ manifests: Manifest[]; notes: string }> {
  const words = ['install', 'loopwarden', CHART, '--namespace', NAMESPACE, '--dry-run=client'];
  const { code, stdout, stderr } = await helm([...words, '--output', 'json'], values);
  if (code !== 0) throw new Error(stderr);
  const { manifest, info } = JSON.parse(stdout) as { manifest: string; info: { notes: string } };
  return { manifests: manifestsOf(manifest), notes: info.notes };
}

export function manifestsOf(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    const manifest = document.toJS() as Manifest;
    return manifest === null ? [] : [manifest];
  });
}

export const ofKind = (manifests: readonly Manifest[], kind: string): Manifest[] =>
  manifests.filter((each) => each.kind === kind);
