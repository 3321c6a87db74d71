/** What is counted instead of recorded outlives agents as records do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { accountsOf, addCounts, settleAggregates, startFlood, toldIoctls } from '../support/flood.js';
import { host, openContainer } from '../support/shell.js';
import { buildTool } from '../support/tool.js';
import { eventually } from '../support/wait.js';

const KILLS = 3;

test('agents that are killed in a flood leave nothing of it out, and tell nothing twice', async (t) => {
  const flood = await buildTool(t, 'ioctl-flood');
  const environment = agentEnvironment(t);
  let agent = await startAgent(t, environment);
  const box = await openContainer();
  defer(t, () => box.leave());
  const device = await host('losetup -f');
  const words = ['nsenter', '-t', String(box.pid), '-U', '--preserve-credentials', flood, device];
  const flooding = await startFlood(t, [...words, String(1 << 30)]);
  const toldBy = () => agent.audit().filter(({ kind }) => kind === 'aggregate').length;
  for (let kill = 0; kill < KILLS; kill++) {
    const before = toldBy();
    // Killed right after lines were written: what they tell may still be in the kernel.
    await eventually('a count is told', () => toldBy() > before);
    await agent.stop('SIGKILL');
    agent = await startAgent(t, environment);
  }
  const made = await flooding.stop();
  await settleAggregates(agent);
  const lines = agent.audit().filter(({ caller }) => caller?.comm === 'ioctl-flood');
  assert.deepEqual(addCounts(...Object.values(toldIoctls(lines))), made);
  const accounts = accountsOf(await agent.metrics());
  assert.deepEqual(accounts, { produced: accounts.told, told: accounts.told, dropped: 0 });
  assert.equal((await agent.metrics()).get('loopwarden_records_unaccounted'), 0);
});
