/** What the agent's /metrics says of loopfs, as it is asked at the scrape. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AgentProcess, agentEnvironment, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { startLoopfsHost } from '../support/loopfs-serve.js';
import { startPlacedContainer } from '../support/placed-container.js';

const FIRST = 33_000;

async function loopfsSeries(agent: AgentProcess): Promise<Record<string, number>> {
  const all = [...(await agent.metrics())].filter(([name]) => name.startsWith('loopwarden_loopfs_'));
  return Object.fromEntries(all.map(([name, value]) => [name.slice('loopwarden_loopfs_'.length), value]));
}

test('instances, devices and refusals are those of the moment; without an answer only up is left', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const agent = await startAgent(t, agentEnvironment(t, { LOOPWARDEN_LOOPFS_SOCKET: serving.socket }));
  const none = {
    up: 1,
    instances: 0,
    'devices{state="bound"}': 0,
    'devices{state="unbound"}': 0,
    device_limit: 4096,
    numbers_left: (1 << 20) - FIRST,
    'refusals_total{limit="total"}': 0,
    'refusals_total{limit="instance"}': 0,
    'refusals_total{limit="instance_numbers"}': 0,
    'refusals_total{limit="userns"}': 0,
  };
  assert.deepEqual(await loopfsSeries(agent), none);
  const container = await startPlacedContainer(t, serving, 'one', 2);
  await serving.ask('create', 'two');
  const image = container.image(1 << 20);
  for (let made = 0; made < 2; made++) await container.run(`losetup -f ${image}`);
  const past = await container.try(`losetup -f ${image}`);
  assert.equal(past.code, 1, past.stderr);
  const series = await loopfsSeries(agent);
  assert.ok((series['refusals_total{limit="instance"}'] ?? 0) >= 1);
  assert.deepEqual(series, {
    ...none,
    instances: 2,
    'devices{state="bound"}': 2,
    numbers_left: none.numbers_left - 2,
    'refusals_total{limit="instance"}': series['refusals_total{limit="instance"}'],
  });

  // One that hangs costs a scrape no more than a second.
  process.kill(serving.pid, 'SIGSTOP');
  defer(t, () => serving.pid > 0 && process.kill(serving.pid, 'SIGCONT'));
  const startMs = performance.now();
  assert.deepEqual(await loopfsSeries(agent), { up: 0 });
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs > 900 && tookMs < 5000, `${tookMs} ms`);
  process.kill(serving.pid, 'SIGCONT');
  assert.equal((await loopfsSeries(agent)).instances, 2);
  await serving.stop();
  assert.deepEqual(await loopfsSeries(agent), { up: 0 });
});
