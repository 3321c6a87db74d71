/** The copyright file: what is written by hand, and the licences of the npm packages that esbuild put into the bundles. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface BundleReport {
  inputs: Record<string, unknown>;
}

interface Licence {
  name: string;
  /** SPDX. */
  id: string;
  text: string;
}

/** Beside the bundle, as it is. */
const UNBUNDLED = 'node-gyp-build';

/** `root`: of the clone. `reports`: what esbuild wrote of its bundles (--metafile). */
export function renderCopyright(root: string, reports: readonly string[]): string {
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  const names = new Set([UNBUNDLED, ...reports.flatMap((path) => packagesOf(JSON.parse(read(path))))]);
  const licences = [...names].sort().map((name) => licenceOf(join(root, 'node_modules', name), name));
  const bsd = read('bpf/LICENSE');
  const parts: Record<string, string> = {
    BSD_2_CLAUSE: indent(bsd.slice(bsd.indexOf('BSD 2-Clause License'))),
    HOLDERS: licences.map((each) => ` ${holderOf(each)} (${each.name})`).join('\n'),
    LICENSES: [...new Set(licences.map(({ id }) => id).filter((id) => id !== 'Apache-2.0'))].join(' and '),
    TEXTS: licences.map(({ name, id, text }) => ` .\n ${name}: ${id}\n .\n${indent(text)}`).join('\n'),
  };
  return read('packaging/debian/copyright').replace(/@(\w+)@/g, (all, name: string) => parts[name] ?? all);
}

function packagesOf({ inputs }: BundleReport): string[] {
  return Object.keys(inputs).flatMap(
    (path) => /(?:^|.*\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
  );
}

function licenceOf(folder: string, name: string): Licence {
  const { license: id } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    license?: string;
  };
  const file = readdirSync(folder).find((each) => /^licen[cs]e(\.|$)/i.test(each));
  if (id === undefined || file === undefined) throw new Error(`${folder} does not say what its licence is`);
  const text = readFileSync(join(folder, file), 'utf8');
  // The whole of it is on every Debian.
  return { name, id, text: id === 'Apache-2.0' ? 'See /usr/share/common-licenses/Apache-2.0.' : text };
}

function holderOf({ name, text }: Licence): string {
  const line = /^\W*copyright\b(.*\d{4}.*)$/im.exec(text)?.[1];
  return line?.replace(/^\s*\(c\)\s*/i, '').trim() ?? `the authors of ${name}`;
}

/** As the format wants it: no empty line within a field. */
function indent(text: string): string {
  return text
    .trim()
    .split('\n')
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
    .join('\n');
}
