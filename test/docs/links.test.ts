import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';

const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...readdirSync(join(PACKAGE_ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** Paths, without those to other sites. */
function linksOf(page: string): { path: string; anchor: string }[] {
  const prose = readFileSync(join(PACKAGE_ROOT, page), 'utf8').replace(/```[\s\S]*?```|`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor = ''] = target.split('#');
      return { path: path === '' ? page : join(dirname(page), path), anchor };
    });
}

/** As the forges make it of a heading. */
function anchorsOf(page: string): string[] {
  const headings = readFileSync(join(PACKAGE_ROOT, page), 'utf8').matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, words = '']) =>
    words
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('every link within the docs leads somewhere', () => {
  assert.ok(pages.length > 30);
  for (const page of pages) {
    for (const { path, anchor } of linksOf(page)) {
      assert.ok(existsSync(resolve(PACKAGE_ROOT, path)), `${page}: ${path}`);
      if (anchor !== '') assert.ok(anchorsOf(path).includes(anchor), `${page}: ${path}#${anchor}`);
    }
  }
});
