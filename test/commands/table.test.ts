import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { table } from '../../src/commands/table.js';
import { assertHarmless, HOSTILE_NAMES } from './terminal.js';

test('columns are aligned, two spaces apart, without blanks at the end', () => {
  assert.equal(
    table([
      ['NAME', 'STATE', 'OWNER'],
      ['loop0', 'bound', 'host'],
      ['loop17', '-', 'userns'],
    ]),
    'NAME    STATE  OWNER\nloop0   bound  host\nloop17  -      userns',
  );
  assert.equal(table([]), '');
  assert.equal(table([['alone']]), 'alone');
});

test('lines are cut to the terminal, and only there', () => {
  const rows = [['loop0', '/srv/a-very-long-path.img']];
  assert.equal(table(rows, 12), 'loop0  /srv…');
  assert.equal(table(rows, 32), 'loop0  /srv/a-very-long-path.img');
  assert.equal(table(rows), 'loop0  /srv/a-very-long-path.img');
});

test('a hostile name never reaches the terminal raw', () => {
  for (const [what, name] of Object.entries(HOSTILE_NAMES)) {
    assertHarmless(
      table([
        ['NAME', name],
        [name, 'b'],
      ]),
      2,
      what,
    );
  }
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'binary', maxLength: 20 }), { minLength: 1, maxLength: 4 }),
      (row) => {
        assertHarmless(table([row]), 1, 'any text');
      },
    ),
  );
});

test('an ordinary name is shown as it is', () => {
  for (const name of [
    '/srv/My Disk.img',
    'a"b',
    'back\\slash',
    '\\"',
    '\\\\"\\',
    'Größe',
    '日本',
    '💿',
    '…',
    '',
  ]) {
    assert.equal(table([[name]]), name);
  }
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme-ascii', maxLength: 30 }), (name) => {
      assert.equal(table([[name]]), name);
    }),
  );
});

test('a name that is hostile in one column leaves the others aligned', () => {
  const [first = '', second = ''] = table([
    ['\u001b[2J', 'x'],
    ['b', 'y'],
  ]).split('\n');
  assert.equal(first.indexOf('x'), second.indexOf('y'));
});
