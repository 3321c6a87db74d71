/** docs/threat-model.md has every attack of test/bypass, each with a defence, and leads nowhere that is not there. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';

const FOLDER = join(PACKAGE_ROOT, 'docs');
const text = readFileSync(join(FOLDER, 'threat-model.md'), 'utf8');
const linksIn = (part: string): string[] => [...part.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link);

/** The rows of the tables below a heading, without their heads. */
function rowsBelow(heading: string): string[][] {
  const section = text.split(/^## /m).find((each) => each.startsWith(heading)) ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\| (-|Attack \||What \|)/.test(line))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

test('every attack that is tested is in the threat model, in one row', () => {
  const linked = rowsBelow('Attacks').flatMap(([, , tests = '']) => linksIn(tests));
  const inBypass = linked.filter((link) => link.startsWith('../test/bypass/'));
  const files = readdirSync(join(PACKAGE_ROOT, 'test/bypass')).filter((name) => name.endsWith('.test.ts'));
  assert.deepEqual(inBypass.toSorted(), files.map((name) => `../test/bypass/${name}`).toSorted());
});

test('every attack has a defence and a test, everything that is out of scope a reason', () => {
  const attacks = rowsBelow('Attacks');
  assert.ok(attacks.length >= 25);
  for (const row of attacks) {
    assert.equal(row.length, 3, row.join());
    const [attack = '', defence = '', tests = ''] = row;
    assert.ok(attack.length > 10 && defence.length > 20 && linksIn(tests).length > 0, attack);
  }
  const outside = rowsBelow('Out of scope');
  assert.ok(outside.length > 3 && outside.every(([what = '', why = '']) => what !== '' && why.length > 20));
});

test('every link leads to a file that is there', () => {
  for (const link of linksIn(text).filter((each) => !/^https?:/.test(each)))
    assert.ok(existsSync(join(FOLDER, link.replace(/#.*/, ''))), link);
});
