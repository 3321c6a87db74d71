import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRateHistory } from '../../src/sinks/rate-history.js';
import { metricsFixture } from '../metrics-fixture.js';

test('a sample has each counter as it was; uevents of other devices are none of them', () => {
  const source = metricsFixture({ deliveries: () => [1000, 3, 500, 20] });
  const history = createRateHistory(source, 10, () => 42);
  history.take();
  assert.deepEqual(history.after(0), [
    { n: 1, timeMs: 42, ok: 0 + 3, failed: 1 + 2 + 4 + 5, hidden: 20, delivered: 3, events: 6, drops: 0 },
  ]);
});

test('keeps so many samples, and gives those that one has not had', () => {
  const history = createRateHistory(metricsFixture(), 3);
  for (let n = 0; n < 5; n++) history.take();
  assert.deepEqual(
    history.after(0).map(({ n }) => n),
    [3, 4, 5],
  );
  assert.deepEqual(
    history.after(4).map(({ n }) => n),
    [5],
  );
  assert.deepEqual(history.after(9), []);
});
