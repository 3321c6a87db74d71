import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { foldCounts, foldLabels } from '../../src/sinks/label-fold.js';

test('counts of a folded value are added to its label, and those of the others stay at theirs', () => {
  const fold = foldLabels(['a', 'old', 'b'], { old: 'a' });
  assert.deepEqual(fold, { labels: ['a', 'b'], places: [0, 0, 1] });
  // [outer 2 × value 3 × inner 2]
  const counts = [1, 2, 10, 20, 100, 200, 3, 4, 30, 40, 300, 400];
  assert.deepEqual([...foldCounts(counts, fold, 2)], [11, 22, 100, 200, 33, 44, 300, 400]);
});

test('no count is lost, whatever is folded', () => {
  const values = ['other', 'a', 'b', 'c'];
  fc.assert(
    fc.property(
      fc.subarray(values.slice(1)),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 3 }),
      (gone, outer, inner) => {
        const fold = foldLabels(values, Object.fromEntries(gone.map((value) => [value, 'other'])));
        const counts = Array.from({ length: outer * values.length * inner }, (_, at) => at + 1);
        const folded = foldCounts(counts, fold, inner);
        assert.equal(folded.length, outer * (values.length - gone.length) * inner);
        assert.equal(
          folded.reduce((sum, count) => sum + count, 0),
          counts.reduce((sum, count) => sum + count, 0),
        );
      },
    ),
  );
});
