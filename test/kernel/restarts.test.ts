/** Hiding and accounts hold in a storm of attachments through kills, upgrades and downgrades of the agent. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { agentEnvironment, killInStart, startAgent } from '../support/agent-process.js';
import { KILLS, KILLS_IN_STORM, UPGRADES } from '../support/scale.js';
import { PAUSE_US, ROOM, seesEverySocket, startStorm, stormLines } from '../support/storm-run.js';
import { startUdevd } from '../support/udevd.js';
import { useVariant } from '../support/variant.js';

/** After each kill of an agent that runs, in the midst of their starts. */
const KILLS_IN_STARTS = 3;

/** Each storm has a log of its own; the agents of all of them follow each other on the same pins. */
async function killInStorm(t: TestContext, kills: number): Promise<void> {
  const environment = agentEnvironment(t, ROOM);
  let agent = await startAgent(t, environment);
  const everySocket = await seesEverySocket(agent);
  const storm = await startStorm(t, 100, PAUSE_US);
  let startMs = 0;
  for (let killed = 0; killed < kills; ) {
    await agent.stop('SIGKILL');
    killed++;
    // The next ones do not get as far, or just so.
    for (let more = 0; startMs > 0 && more < KILLS_IN_STARTS && killed < kills; more++, killed++)
      await killInStart(t, environment, Math.random() * startMs);
    const fromMs = performance.now();
    agent = await startAgent(t, environment);
    startMs = performance.now() - fromMs;
  }
  const { heard, ioctls } = await storm.end();
  await agent.settle();

  // Where each socket has a filter of its own, those opened while no agent ran have none: the witness has.
  // Of the first ones only: the difference of long lists takes minutes to print.
  assert.deepEqual((everySocket ? heard.owned : heard.ownedByWitness).slice(0, 5), []);
  assert.deepEqual(heard.missing.slice(0, 5), []);
  const lines = stormLines(agent.audit());
  assert.equal(lines.length, ioctls);
  assert.equal(new Set(lines.map((line) => `${line.boot_ns} ${line.caller.tid}`)).size, ioctls);
  for (const line of lines.filter(({ command }) => command === 'LOOP_CONFIGURE'))
    if (line.result === 'ok')
      assert.equal(line.owner.after, line.caller.userns.level > 0 ? line.caller.userns.id : 3);
  assert.equal((await agent.metrics()).get('loopwarden_records_unaccounted'), 0);
  t.diagnostic(`${kills} kills: ${ioctls} ioctls, ${heard.checked} deliveries of the host's events`);
  assert.equal(await agent.stop(), 0);
  rmSync(environment.auditPath);
}

for (let done = 0; done < KILLS; done += KILLS_IN_STORM) {
  const kills = Math.min(KILLS_IN_STORM, KILLS - done);
  test(`kill -9 in a storm shows nothing of a container, hides nothing of the host, and every ioctl is one line (${done + 1} to ${done + kills})`, async (t) => {
    await startUdevd(t);
    await killInStorm(t, kills);
  });
}

test('an upgrade and a downgrade across a change of the record layout show nothing, and tell every gap', async (t) => {
  await startUdevd(t);
  const variant = await useVariant(t);
  const environment = agentEnvironment(t, ROOM);
  let agent = await startAgent(t, environment);
  const everySocket = await seesEverySocket(agent);
  const storm = await startStorm(t, 100, PAUSE_US);
  const steps = [
    ['SIGKILL', variant],
    ['SIGTERM', undefined],
    ['SIGTERM', variant],
    ['SIGKILL', variant],
    ['SIGKILL', undefined],
  ] as const;
  for (const [signal, main] of steps.slice(0, UPGRADES)) {
    await agent.stop(signal);
    agent = await startAgent(t, environment, main);
  }
  const { heard, ioctls } = await storm.end();
  await agent.settle();

  // Of the first ones only: the difference of long lists takes minutes to print.
  assert.deepEqual((everySocket ? heard.owned : heard.ownedByWitness).slice(0, 5), []);
  assert.deepEqual(heard.missing.slice(0, 5), []);
  const gaps = agent.audit().filter(({ command }) => command === 'gap');
  const untold = ioctls - stormLines(agent.audit()).length;
  const inGaps = gaps.reduce((sum, { gap }) => sum + gap.records, 0);
  assert.ok(
    untold >= 0 && untold <= inGaps,
    `${untold} of ${ioctls} ioctls have no line, gaps tell of ${inGaps}`,
  );
  assert.ok(gaps.length > 0 && gaps.every(({ gap }) => gap.from_boot_ns <= gap.to_boot_ns));
  assert.equal((await agent.metrics()).get('loopwarden_records_unaccounted'), 0);
});
