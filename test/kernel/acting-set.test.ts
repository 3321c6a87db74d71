/** The programs that act outlive their agent: the next one goes on with them if it would load the same. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type AgentProcess, agentEnvironment, startAgent } from '../support/agent-process.js';
import { linksOf, proveHiding } from '../support/links.js';
import { buildWithBpf } from '../support/variant.js';

/** Of the programs behind gates, how many an agent has loaded by itself. */
async function loadedForHooks(agent: AgentProcess): Promise<number> {
  const { programs } = await agent.ask('status');
  const names: string[] = programs.map(({ name }: { name: string }) => name);
  return names.filter((name) => /_(fentry|fexit|fmod_ret|lsm|kprobe|kretprobe|tp_btf)$/.test(name)).length;
}

async function proveWork(t: TestContext, agent: AgentProcess): Promise<void> {
  await agent.settle();
  await proveHiding(t, agent);
}

test('an agent of the same build goes on with the programs that act, and they do their work', async (t) => {
  const environment = agentEnvironment(t);
  const first = await startAgent(t, environment);
  const links = await linksOf(first);
  assert.ok((await loadedForHooks(first)) > 0);
  await first.stop('SIGKILL');

  const second = await startAgent(t, environment);
  assert.equal(await loadedForHooks(second), 0);
  assert.deepEqual(await linksOf(second), links);
  await proveWork(t, second);
});

test('an agent of another build, or with other links, loads its own', async (t) => {
  const environment = agentEnvironment(t);
  const first = await startAgent(t, environment);
  const links = await linksOf(first);
  await first.stop();

  // A size that the agent sets anyway: other bytes, the same work.
  const main = await buildWithBpf(t, {
    file: 'maps.bpf.h',
    from: 'struct inflight_entry, 8192',
    to: 'struct inflight_entry, 8191',
  });
  const other = await startAgent(t, environment, main);
  assert.ok((await loadedForHooks(other)) > 0);
  assert.deepEqual(await linksOf(other), links);
  await other.stop();

  // The first build again: what acts is the other’s, though the digest of its own may have been kept.
  const again = await startAgent(t, environment);
  assert.ok((await loadedForHooks(again)) > 0);
  await proveWork(t, again);
});
