/** Hiding and accounts hold in a storm of attachments, for sockets opened in the midst of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { STORM_CYCLES } from '../support/scale.js';
import { ROOM, seesEverySocket, startStorm, stormLines } from '../support/storm-run.js';
import { startUdevd } from '../support/udevd.js';

test('a uevent socket opened in a storm hears of no container’s device, and misses none of the host’s', async (t) => {
  await startUdevd(t);
  const agent = await startAgent(t, agentEnvironment(t, ROOM));
  const storm = await startStorm(t, STORM_CYCLES);
  const { heard, sockets, ioctls } = await storm.end();
  await agent.settle();

  // Of the first ones only: the difference of long lists takes minutes to print.
  const owned = (await seesEverySocket(agent)) ? heard.owned : heard.ownedByWitness;
  assert.deepEqual(owned.slice(0, 5), []);
  assert.deepEqual(heard.missing.slice(0, 5), []);
  assert.equal(heard.overruns, 0);
  assert.ok(sockets > 10 && heard.checked > 100, `${sockets} sockets, ${heard.checked} deliveries`);
  assert.equal(stormLines(agent.audit()).length, ioctls);
  assert.equal((await agent.metrics()).get('loopwarden_records_unaccounted'), 0);
});
