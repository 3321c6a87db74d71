/** Hiding and accounts hold in a storm of attachments: for sockets opened in the midst of it, through kills and upgrades. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type AuditLine, agentEnvironment, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { KILLS, KILLS_IN_STORM, STORM_CYCLES, UPGRADES } from '../support/scale.js';
import { container, host } from '../support/shell.js';
import {
  buildStormTools,
  type Judgement,
  judgeReceivers,
  type LoopEvent,
  type LoopStormReport,
  startReceivers,
} from '../support/storm.js';
import { startUdevd } from '../support/udevd.js';
import { useVariant } from '../support/variant.js';

const CONTAINER = { first: 600, count: 4 };
const HOST = { first: 700, count: 2 };
const isIn =
  ({ first, count }: typeof HOST) =>
  ({ number }: LoopEvent): boolean =>
    number >= first && number < first + count;

/** Cycles until `end`; then says what was done by containers and host, and what the sockets heard of it. */
async function startStorm(t: TestContext, cyclesAtOnce: number) {
  const { loopStorm, receiverStorm } = await buildStormTools(t);
  const receivers = await startReceivers(t, receiverStorm, 10, 60);
  const reports: LoopStormReport[] = [];
  let going = true;
  const cycle = async (run: typeof host, range: typeof HOST, times: number): Promise<void> => {
    const image = tempImage(t);
    do reports.push(JSON.parse(await run(`${loopStorm} ${range.first} ${range.count} ${times} ${image}`)));
    while (going);
  };
  const both = Promise.all([
    cycle(container, CONTAINER, cyclesAtOnce),
    cycle(host, HOST, Math.ceil(cyclesAtOnce / 4)),
  ]);
  // A test that fails meanwhile must not leave them going.
  defer(t, async () => {
    going = false;
    await both.catch(() => {});
  });
  return {
    async end(): Promise<{ heard: Judgement; sockets: number; ioctls: number }> {
      going = false;
      await both;
      const heard = await receivers.stop();
      const counts = reports.flatMap(({ ioctls, failed }) =>
        [ioctls, failed].flatMap(Object.values),
      ) as number[];
      return {
        heard: judgeReceivers(heard, isIn(CONTAINER), isIn(HOST)),
        sockets: heard.length,
        ioctls: counts.reduce((sum, each) => sum + each, 0),
      };
    },
  };
}

/** On a host without trampolines a socket that is opened while the agent is there is bare for a moment: then only the witness counts. */
async function seesEverySocket(agent: { json(...args: string[]): Promise<AuditLine> }): Promise<boolean> {
  const { hooks } = await agent.json('doctor');
  const { link } = hooks.find(({ hook }: { hook: string }) => hook === 'uevent_delivery');
  return link !== 'socket_filter';
}

const stormLines = (audit: AuditLine[]): AuditLine[] =>
  audit.filter((line) => line.kind === 'ioctl' && line.caller.comm === 'loop-storm');

/** Room for all that is recorded while no agent reads. */
const ROOM = { LOOPWARDEN_RING_SIZE_BYTES: String(64 << 20) };

test('a uevent socket opened in a storm hears of no container’s device, and misses none of the host’s', async (t) => {
  await startUdevd(t);
  const agent = await startAgent(t, agentEnvironment(t, ROOM));
  const storm = await startStorm(t, STORM_CYCLES);
  const { heard, sockets, ioctls } = await storm.end();
  await agent.settle();

  assert.deepEqual((await seesEverySocket(agent)) ? heard.owned : heard.ownedByWitness, []);
  assert.deepEqual(heard.missing, []);
  assert.equal(heard.overruns, 0);
  assert.ok(sockets > 10 && heard.checked > 100, `${sockets} sockets, ${heard.checked} deliveries`);
  assert.equal(stormLines(agent.audit()).length, ioctls);
  assert.equal((await agent.metrics()).get('loopwarden_records_unaccounted'), 0);
});

/** Each storm has a log of its own; the agents of all of them follow each other on the same pins. */
async function killInStorm(t: TestContext, kills: number): Promise<void> {
  const environment = agentEnvironment(t, ROOM);
  let agent = await startAgent(t, environment);
  const everySocket = await seesEverySocket(agent);
  const storm = await startStorm(t, 100);
  for (let kill = 0; kill < kills; kill++) {
    await agent.stop('SIGKILL');
    agent = await startAgent(t, environment);
  }
  const { heard, ioctls } = await storm.end();
  await agent.settle();

  // Where each socket has a filter of its own, those opened while no agent ran have none: the witness has.
  assert.deepEqual(everySocket ? heard.owned : heard.ownedByWitness, []);
  assert.deepEqual(heard.missing, []);
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

test('kill -9 in a storm shows nothing of a container, hides nothing of the host, and every ioctl is one line', async (t) => {
  await startUdevd(t);
  for (let done = 0; done < KILLS; done += KILLS_IN_STORM)
    await killInStorm(t, Math.min(KILLS_IN_STORM, KILLS - done));
});

test('an upgrade and a downgrade across a change of the record layout show nothing, and tell every gap', async (t) => {
  await startUdevd(t);
  const variant = await useVariant(t);
  const environment = agentEnvironment(t, ROOM);
  let agent = await startAgent(t, environment);
  const everySocket = await seesEverySocket(agent);
  const storm = await startStorm(t, 100);
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

  assert.deepEqual(everySocket ? heard.owned : heard.ownedByWitness, []);
  assert.deepEqual(heard.missing, []);
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
