/** The attacker floods the agent with ioctls that change nothing, so that what others do, or it itself, finds no room in the log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { accountsOf, addCounts, startFlood, sumOf, toldIoctls } from '../support/flood.js';
import { FLOOD_CYCLES } from '../support/scale.js';
import { host, openContainer } from '../support/shell.js';
import { type Stage, setStage, usernsOf } from '../support/stage.js';
import type { LoopStormReport } from '../support/storm.js';
import { buildTool } from '../support/tool.js';
import { eventually, SLOWNESS } from '../support/wait.js';

/** More than it can make in this test. */
const FOR_EVER = String(1 << 30);
const CHANGES = ['LOOP_CTL_ADD', 'LOOP_CONFIGURE', 'LOOP_SET_FD', 'LOOP_CLR_FD', 'LOOP_CTL_REMOVE'];

const linesOf = (stage: Stage, inum: number) =>
  stage.agent.audit().filter(({ caller }) => caller?.userns.inum === inum);

/** Every line about what was counted is there a second or two after it ended. */
async function settleAggregates(stage: Stage): Promise<void> {
  await eventually('all that was counted is told', async () => {
    const metrics = await stage.agent.metrics();
    const told = stage.agent
      .audit()
      .reduce((sum, { kind, aggregate }) => sum + (kind === 'aggregate' ? aggregate.count : 0), 0);
    return told === metrics.get('loopwarden_records_total{state="aggregated"}');
  });
  await stage.agent.settle();
}

/** What was done, as toldIoctls has it, but for the errnos, which a storm does not tell. */
const doneBy = ({ ioctls, failed }: LoopStormReport) => ({
  ok: Object.fromEntries(
    Object.entries(ioctls)
      .filter(([, count]) => count > 0)
      .map(([command, count]) => [`${command} ok`, count]),
  ),
  failed: sumOf(failed),
});

test('a flood costs another container no record, and itself none of what changes ownership', async (t) => {
  const [flood, loopStorm] = [await buildTool(t, 'ioctl-flood'), await buildTool(t, 'loop-storm')];
  const stage = await setStage(t);
  const [noisy, quiet] = [await openContainer(), await openContainer()];
  for (const box of [noisy, quiet]) defer(t, () => box.leave());
  const inums = [await usernsOf(noisy.pid), await usernsOf(quiet.pid)] as const;
  const device = await host('losetup -f');
  const within = ['nsenter', '-t', String(noisy.pid), '-U', '--preserve-credentials'];
  const flooding = await startFlood(t, [...within, flood, device, FOR_EVER]);
  const [quietReport, noisyReport] = (
    await Promise.all([
      quiet.run(`${loopStorm} 35001 1 ${FLOOD_CYCLES} ${stage.image}`),
      noisy.run(`${loopStorm} 35101 1 ${FLOOD_CYCLES} ${stage.image}`),
    ])
  ).map((text) => JSON.parse(text)) as [LoopStormReport, LoopStormReport];
  const flooded = await flooding.stop();
  await settleAggregates(stage);

  const [noisyTold, quietTold] = inums.map((inum) => toldIoctls(linesOf(stage, inum)));
  assert.ok(noisyTold && quietTold);
  // Each is a line of its own, the failed ones too: the budget is another's.
  const done = doneBy(quietReport);
  assert.deepEqual(quietTold.aggregated, {});
  assert.deepEqual(
    Object.fromEntries(Object.entries(quietTold.recorded).filter(([key]) => key.endsWith(' ok'))),
    done.ok,
  );
  assert.equal(sumOf(quietTold.recorded), sumOf(done.ok) + done.failed);
  // The flooder: what changed something has its line, and of the rest nothing is missing in the counts.
  const own = doneBy(noisyReport);
  for (const command of CHANGES)
    assert.equal(noisyTold.recorded[`${command} ok`] ?? 0, own.ok[`${command} ok`] ?? 0, command);
  const told = addCounts(noisyTold.recorded, noisyTold.aggregated);
  assert.equal(sumOf(told), sumOf(flooded) + sumOf(own.ok) + own.failed);
  for (const command of ['LOOP_GET_STATUS64 ENXIO', 'LOOP_CTL_GET_FREE ok'])
    assert.equal(told[command], flooded[command], command);
  assert.ok(sumOf(noisyTold.aggregated) > sumOf(noisyTold.recorded), 'it was no flood');

  const accounts = accountsOf(await stage.agent.metrics());
  t.diagnostic(
    `${sumOf(flooded)} calls at full speed beside ${quietReport.cycles} cycles: ${sumOf(noisyTold.recorded)} recorded, ` +
      `${sumOf(noisyTold.aggregated)} counted; ${JSON.stringify(accounts)}`,
  );
  assert.deepEqual(accounts, { produced: accounts.told, told: accounts.told, dropped: 0 });
  const attached = linesOf(stage, inums[1]).filter(
    ({ command, result }) => command === 'LOOP_CONFIGURE' && result === 'ok',
  );
  assert.equal(attached.length, quietReport.cycles);
  assert.ok(attached.every(({ owner, caller }) => owner.after === caller.userns.id));
  assert.deepEqual(await stage.hostHears(), []);
});

test('a user gains nothing by many namespaces, nor a container by nesting', async (t) => {
  const PER_SECOND = 50;
  const [SPACES, CALLS] = [12, 300];
  const flood = await buildTool(t, 'ioctl-flood');
  const stage = await setStage(t, { env: { LOOPWARDEN_LIMITS_RECORDS_PER_SECOND: String(PER_SECOND) } });
  const device = await host('losetup -f');
  const nested = (depth: number): string[] => Array.from({ length: depth }, () => ['unshare', '-Ur']).flat();
  const user = ['setpriv', '--reuid=65534', '--clear-groups', 'unshare', '-U'];
  const floods = {
    // Descriptor 3 is the host's root's: such a user may not open the node.
    'a user': Array.from({ length: SPACES }, () => ['sh', '-c', `exec "$0" "$@" 3<>${device}`, ...user]),
    'a container': [
      ['sh', '-c', `exec "$0" "$@" 3<>${device}`, 'unshare', '-Ur', 'sh', '-c'].concat(
        `${Array.from({ length: SPACES }, (_, depth) => [...nested(depth % 6), flood, '3', String(CALLS)].join(' ')).join(' & ')} & wait`,
      ),
    ],
  };
  const startMs = performance.now();
  const users = await Promise.all(
    floods['a user'].map((words) => startFlood(t, [...words, flood, '3', String(CALLS)])),
  );
  const made = addCounts(...(await Promise.all(users.map(({ ended }) => ended))));
  const [container = []] = floods['a container'];
  await host(container.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' '));
  await settleAggregates(stage);
  const seconds = (performance.now() - startMs) / 1000;

  const lines = stage.agent.audit().filter(({ caller }) => caller?.comm === 'ioctl-flood');
  const ofUser = lines.filter(({ caller }) => caller.userns.owner_uid === 65534);
  const ofContainer = lines.filter(({ caller }) => caller.userns.owner_uid === 0);
  assert.equal(sumOf(made), sumOf(addCounts(...Object.values(toldIoctls(ofUser)))));
  for (const [who, own] of Object.entries({ ofUser, ofContainer })) {
    const { recorded, aggregated } = toldIoctls(own);
    const spaces = new Set(own.map(({ caller }) => caller.userns.inum)).size;
    t.diagnostic(`${who}: ${spaces} namespaces, ${sumOf(recorded)} recorded, ${sumOf(aggregated)} counted`);
    assert.ok(spaces > 1, `${spaces} namespaces`);
    // One burst, what came in since, and a record for each processor that looked at the purse at once.
    assert.ok(
      sumOf(recorded) <= PER_SECOND * (1 + seconds) + 8,
      `${who}: ${sumOf(recorded)} in ${seconds} s`,
    );
    assert.ok(sumOf(aggregated) > 0, who);
  }
  assert.ok(SLOWNESS > 1 || sumOf(made) > 0);
});
