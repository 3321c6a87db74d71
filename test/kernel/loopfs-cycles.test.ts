/** Image builds in sixteen containers at once, beside the host's real udevd. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAgent } from '../support/agent-process.js';
import { runCycles } from '../support/loopfs-cycles.js';
import { startLoopfsHost } from '../support/loopfs-serve.js';
import { type PlacedContainer, startPlacedContainer } from '../support/placed-container.js';
import { LOOPFS_CYCLES } from '../support/scale.js';
import { startUdevd } from '../support/udevd.js';

const FIRST = 45_000;
const CONTAINERS = 16;

test(`none of ${LOOPFS_CYCLES} cycles of losetup -P, mkfs and losetup -d fails in ${CONTAINERS} containers`, async (t) => {
  await startUdevd(t);
  const agent = await startAgent(t);
  const serving = await startLoopfsHost(t, FIRST, {
    LOOPWARDEN_LOOPFS_NEEDS_AGENT: 'true',
    LOOPWARDEN_API_SOCKET: agent.env.LOOPWARDEN_API_SOCKET ?? '',
  });
  const containers: PlacedContainer[] = [];
  for (let at = 0; at < CONTAINERS; at++)
    containers.push(await startPlacedContainer(t, serving, `cycles-${at}`));
  const { cycles, failures } = await runCycles(containers, LOOPFS_CYCLES);
  assert.ok(cycles >= LOOPFS_CYCLES);
  assert.deepEqual(failures, []);
});
