import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openNumbers } from '../../src/loopfs/numbers.js';
import { tempFolder } from '../support/temp-folder.js';

test('no number is given twice, also after a restart', (t) => {
  const folder = tempFolder(t);
  const first = openNumbers({ folder, first: 100, partShift: 0 });
  assert.deepEqual([first.take(), first.take()], [100, 101]);
  const before = first.left();
  assert.equal(first.takeExactly(103), true);
  assert.equal(before - first.left(), 1);
  const second = openNumbers({ folder, first: 100, partShift: 0 });
  assert.deepEqual([second.takeExactly(101), second.takeExactly(103)], [false, false]);
  assert.deepEqual([second.take(), second.take(), second.takeExactly(103)], [102, 104, false]);
});

test('numbers of the host are never given', (t) => {
  const numbers = openNumbers({ folder: tempFolder(t), first: 100, partShift: 0 });
  assert.deepEqual([numbers.takeExactly(99), numbers.takeExactly(0)], [false, false]);
});

test('the numbers end with the minors, and then there is none', (t) => {
  const folder = tempFolder(t);
  assert.equal(openNumbers({ folder, first: 8, partShift: 4 }).last, 65_535);
  const numbers = openNumbers({ folder, first: (1 << 20) - 2, partShift: 0 });
  assert.equal(numbers.left(), 2);
  assert.deepEqual([numbers.take(), numbers.take(), numbers.take()], [1_048_574, 1_048_575, undefined]);
  assert.equal(numbers.left(), 0);
  assert.equal(numbers.takeExactly(1 << 20), false);
});
