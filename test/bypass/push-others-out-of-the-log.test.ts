/** The attacker floods the ring with failing ioctls, so that what others do meanwhile finds no room. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { host, openContainer } from '../support/shell.js';
import { setStage, usernsOf } from '../support/stage.js';
import { buildTool } from '../support/tool.js';

const CYCLES = 20;
/** What the log of the test can hold; about a second at full speed. */
const FLOOD = 200_000;

test('a flood costs another container no owner and no event’s hiding, and each record that finds no room is counted', async (t) => {
  const [flood, loopStorm] = [await buildTool(t, 'ioctl-flood'), await buildTool(t, 'loop-storm')];
  const stage = await setStage(t);
  const [noisy, quiet] = [await openContainer(), await openContainer()];
  for (const box of [noisy, quiet]) defer(t, () => box.leave());
  const device = await host('losetup -f');
  const flooding = spawn(
    'nsenter',
    ['-t', String(noisy.pid), '-U', '--preserve-credentials', flood, device, String(FLOOD)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let printed = '';
  flooding.stdout.on('data', (chunk: Buffer) => (printed += chunk));
  const ended = new Promise((resolve) => flooding.once('close', resolve));
  defer(t, async () => {
    flooding.kill('SIGKILL');
    await ended;
  });
  await new Promise((resolve) => flooding.stdout.once('data', resolve));
  const report = JSON.parse(await quiet.run(`${loopStorm} 35001 1 ${CYCLES} ${stage.image}`));
  flooding.kill('SIGTERM');
  await ended;
  const flooded = Number(printed.split('\n')[1]);
  assert.ok(flooded > 10 * CYCLES, `${flooded} calls`);

  const inum = await usernsOf(quiet.pid);
  const lines = (await stage.ioctls()).filter(({ caller }) => caller.userns.inum === inum);
  const [made = 0, failed = 0] = [report.ioctls, report.failed].map((counts) =>
    (Object.values(counts) as number[]).reduce((sum, each) => sum + each, 0),
  );
  const metrics = await stage.agent.metrics();
  const dropped = metrics.get('loopwarden_drops_total{reason="ring_full"}') ?? 0;
  const missing = made + failed - lines.length;
  t.diagnostic(
    `${flooded} calls at full speed; ${dropped} records dropped, of the other container’s ${missing}`,
  );
  assert.ok(
    missing >= 0 && missing <= dropped,
    `${missing} of ${made + failed} are missing, ${dropped} were dropped`,
  );
  assert.equal(metrics.get('loopwarden_records_unaccounted'), 0);
  const attached = lines.filter(({ command, result }) => command === 'LOOP_CONFIGURE' && result === 'ok');
  assert.ok(attached.every(({ owner, caller }) => owner.after === caller.userns.id));
  assert.deepEqual(await stage.hostHears(), []);
  // Drops were to be expected here: the agent is stopped before it is asked for none.
  assert.equal(await stage.agent.stop(), 0);
});
