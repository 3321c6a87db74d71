import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONTAINERS, countSeries, DEVICES, SERIES_BUDGET, scrapeFullHost } from '../full-host.js';

test(`a host with ${DEVICES} devices in ${CONTAINERS} containers has at most ${SERIES_BUDGET} series, whatever its links`, async () => {
  const counts = countSeries(await scrapeFullHost());
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  assert.equal(counts.get('loopwarden_loop_device_info'), DEVICES);
  assert.ok((counts.get('loopwarden_program_missed_total') ?? 0) >= 12, 'trampolines have the most programs');
  assert.ok(counts.has('loopwarden_loopfs_devices'), 'with loopfs');
  assert.ok(total <= SERIES_BUDGET, `${total} series: ${JSON.stringify([...counts])}`);
});
