/** The attacker floods the agent with ioctls that change nothing, so that what others do, or it itself, finds no room in the log. */
import assert from 'node:assert/strict';
import { chmodSync, closeSync, openSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { accountsOf, addCounts, settleAggregates, startFlood, sumOf, toldIoctls } from '../support/flood.js';
import { FLOOD_CYCLES } from '../support/scale.js';
import { host, openContainer } from '../support/shell.js';
import { type Stage, setStage, usernsOf } from '../support/stage.js';
import type { LoopStormReport } from '../support/storm.js';
import { buildTool } from '../support/tool.js';

/** More than it can make in this test. */
const FOR_EVER = String(1 << 30);
/** Of the devices of the quiet one and of the noisy one. */
const NUMBERS = [35_001, 35_101] as const;
const CHANGES = ['LOOP_CTL_ADD', 'LOOP_CONFIGURE', 'LOOP_SET_FD', 'LOOP_CLR_FD', 'LOOP_CTL_REMOVE'];

const linesOf = (stage: Stage, inum: number) =>
  stage.agent.audit().filter(({ caller }) => caller?.userns.inum === inum);

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
  const stage = await setStage(t, { own: true });
  const [noisy, quiet] = [await openContainer(), await openContainer()];
  for (const box of [noisy, quiet]) defer(t, () => box.leave());
  const inums = [await usernsOf(noisy.pid), await usernsOf(quiet.pid)] as const;
  const device = await host('losetup -f');
  const within = ['nsenter', '-t', String(noisy.pid), '-U', '--preserve-credentials'];
  const flooding = await startFlood(t, [...within, flood, device, FOR_EVER]);
  const [quietReport, noisyReport] = (
    await Promise.all([
      quiet.run(`${loopStorm} ${NUMBERS[0]} 1 ${FLOOD_CYCLES} ${stage.image}`),
      noisy.run(`${loopStorm} ${NUMBERS[1]} 1 ${FLOOD_CYCLES} ${stage.image}`),
    ])
  ).map((text) => JSON.parse(text)) as [LoopStormReport, LoopStormReport];
  const flooded = await flooding.stop();
  await settleAggregates(stage.agent);

  const [noisyTold, quietTold] = inums.map((inum) => toldIoctls(linesOf(stage, inum)));
  assert.ok(noisyTold && quietTold);
  const accounts = accountsOf(await stage.agent.metrics());
  t.diagnostic(
    `${sumOf(flooded)} calls at full speed beside ${quietReport.cycles} cycles: ${sumOf(noisyTold.recorded)} recorded, ` +
      `${sumOf(noisyTold.aggregated)} counted; ${JSON.stringify(accounts)}`,
  );
  assert.deepEqual(accounts, { produced: accounts.told, told: accounts.told, dropped: 0 });
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

  const attached = linesOf(stage, inums[1]).filter(
    ({ command, result }) => command === 'LOOP_CONFIGURE' && result === 'ok',
  );
  assert.equal(attached.length, quietReport.cycles);
  assert.ok(attached.every(({ owner, caller }) => owner.after === caller.userns.id));
  const heard = (await stage.hostHears()).filter((event) =>
    NUMBERS.some((number) => event.endsWith(`${number}`)),
  );
  assert.deepEqual(heard, []);
});

test('a user gains nothing by many namespaces, nor a container by nesting', async (t) => {
  const [PER_SECOND, SPACES, CALLS] = [50, 12, '300'];
  const flood = await buildTool(t, 'ioctl-flood');
  // Who is nobody is to run it, too.
  if (dirname(flood).startsWith(join(tmpdir(), 'loopwarden-test-'))) chmodSync(dirname(flood), 0o711);
  const stage = await setStage(t, { env: { LOOPWARDEN_LIMITS_RECORDS_PER_SECOND: String(PER_SECOND) } });
  // Opened by root of the host: who is nobody may not open the node.
  const device = openSync(await host('losetup -f'), 'r+');
  defer(t, () => closeSync(device));
  const box = await openContainer();
  defer(t, () => box.leave());
  const user = ['setpriv', '--reuid=65534', '--clear-groups', 'unshare', '-U'];
  const container = ['nsenter', '-t', String(box.pid), '-U', '--preserve-credentials'];
  const commands = Array.from({ length: SPACES }, (_, space) => [
    [...user, flood, '3', CALLS],
    [...container, ...Array.from({ length: space % 6 }, () => ['unshare', '-Ur']).flat(), flood, '3', CALLS],
  ]).flat();
  const startMs = performance.now();
  const floods = await Promise.all(
    commands.map((words) => startFlood(t, words, ['ignore', 'pipe', 'inherit', device])),
  );
  const made = await Promise.all(floods.map(({ ended }) => ended));
  await settleAggregates(stage.agent);
  const seconds = (performance.now() - startMs) / 1000;

  const lines = stage.agent.audit().filter(({ caller }) => caller?.comm === 'ioctl-flood');
  assert.deepEqual(addCounts(...Object.values(toldIoctls(lines))), addCounts(...made));
  for (const owner of [65_534, 0]) {
    const own = lines.filter(({ caller }) => caller.userns.owner_uid === owner);
    const { recorded, aggregated } = toldIoctls(own);
    const spaces = new Set(own.map(({ caller }) => caller.userns.id)).size;
    const words = `namespaces of user ${owner}: ${spaces}, ${sumOf(recorded)} recorded, ${sumOf(aggregated)} counted`;
    t.diagnostic(words);
    assert.ok(spaces > 1 && sumOf(aggregated) > 0, words);
    // One burst, what came in since, and one for each processor that looks at the purse at once.
    assert.ok(sumOf(recorded) <= PER_SECOND * (1 + seconds) + availableParallelism(), words);
  }
});
