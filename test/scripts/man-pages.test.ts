/** The man pages as man shows them: without a warning, with every command and option. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { manPages } from '../../scripts/man-pages.js';
import { COMMANDS, eachCommand } from '../../src/commands/catalog.js';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { command } from '../support/shell.js';

const FOLDER = join(PACKAGE_ROOT, 'packaging/man');

async function shown(file: string): Promise<string> {
  const env = { ...process.env, MANWIDTH: '400', MAN_KEEP_FORMATTING: '', LC_ALL: 'C.UTF-8' };
  const { code, stdout, stderr } = await command('man', ['--warnings', '-l', join(FOLDER, file)], env);
  assert.deepEqual([code, stderr], [0, ''], file);
  return stdout.replace(/\s+/g, ' ').replaceAll('‐', '-');
}

test('there is a page for each command, and none of another', () => {
  assert.deepEqual(
    readdirSync(FOLDER).sort(),
    ['loopwarden.8', ...COMMANDS.map(({ name }) => `loopwarden-${name}.8`)].sort(),
  );
});

test('man shows each page without a warning, with its commands, arguments and options', async () => {
  await shown('loopwarden.8');
  for (const [above, { name, argument, options = [] }] of eachCommand()) {
    const text = await shown(`loopwarden-${above[0] ?? name}.8`);
    assert.ok(text.includes(`loopwarden ${[...above, name].join(' ')} [OPTIONS]`), name);
    if (argument !== undefined) assert.ok(text.includes(argument), argument);
    for (const { flags } of options) assert.ok(text.includes(flags.replace(/[<>]/g, '')), `${name} ${flags}`);
    for (const part of ['NAME', 'SYNOPSIS', 'DESCRIPTION', '--json', 'EXIT STATUS', 'SEE ALSO'])
      assert.ok(text.includes(part), `${name}: ${part}`);
  }
});

test('groff finds nothing wrong, and every reference is to a page there is', async () => {
  for (const file of readdirSync(FOLDER)) {
    const path = join(FOLDER, file);
    const { code, stdout, stderr } = await command('groff', ['-ww', '-z', '-man', '-Kutf8', '-Tutf8', path]);
    assert.deepEqual([code, stdout, stderr], [0, '', ''], file);
    const references = readFileSync(path, 'utf8').matchAll(/^\.BR (loopwarden\S*) \(8\)/gm);
    for (const [, name = ''] of references)
      assert.ok(readdirSync(FOLDER).includes(`${name.replaceAll('\\-', '-')}.8`), `${file}: ${name}`);
  }
});

test('an exit code that is added is in every page', () => {
  for (const { text } of manPages([[99, 'the sky has fallen']]))
    assert.match(text, /^\.B 99\nthe sky has fallen$/m);
});
