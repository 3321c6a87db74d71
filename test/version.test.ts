import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../src/kernel/paths.js';
import { readRevision, VERSION } from '../src/version.js';
import { command } from './support/shell.js';

test('the version is that of the package', () => {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  assert.equal(VERSION, JSON.parse(text).version);
  assert.match(VERSION, /^\d+\.\d+\.\d+/);
});

test('the revision is the commit of the clone, and unknown in a package', async () => {
  if (!existsSync(`${PACKAGE_ROOT}.git`)) {
    assert.equal(readRevision(), 'unknown');
    return;
  }
  const { code, stdout } = await command('git', [
    '-C',
    PACKAGE_ROOT,
    '-c',
    'safe.directory=*',
    'rev-parse',
    'HEAD',
  ]);
  assert.equal(code, 0);
  assert.equal(readRevision(), stdout.trim().slice(0, 12));
});
