/** Container, loopfs process, agent, and all three killed at random moments: nothing is left, and the next start is clean. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { loopsBetween } from '../support/loopfs.js';
import { startLoopfsHost } from '../support/loopfs-serve.js';
import { asRootOf } from '../support/mapped-container.js';
import { startPlacedContainer } from '../support/placed-container.js';
import { LOOPFS_KILLS } from '../support/scale.js';
import { command, host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

const FIRST = 44_000;
const MOMENT_MS = 400;
const VICTIMS = [['container', 'loopfs', 'agent'], ['container'], ['loopfs'], ['agent']] as const;

test(`after each of ${LOOPFS_KILLS} kills at random moments no device and no mount is left`, async (t) => {
  const environment = agentEnvironment(t);
  let agent = await startAgent(t, environment);
  const serving = await startLoopfsHost(t, FIRST, {
    LOOPWARDEN_LOOPFS_NEEDS_AGENT: 'true',
    LOOPWARDEN_API_SOCKET: environment.env.LOOPWARDEN_API_SOCKET ?? '',
  });
  const countMounts = (): Promise<string> => host('grep -c loopfs /proc/self/mountinfo || true');
  const mountsBefore = await countMounts();
  for (let round = 0; round < LOOPFS_KILLS; round++) {
    const container = await startPlacedContainer(t, serving, `kill-${round}`);
    const image = container.image(1 << 20);
    // Now and then one stays bound, and one is free.
    const work = `while :; do
      d=$(losetup -f --show ${image}) && dd if=/dev/zero of=$d bs=64k count=4 status=none && losetup -d $d
      losetup -f ${image}; losetup -D; rm -f /dev/loopfs/loop*[05]
    done 2>/dev/null`;
    const argv = [...asRootOf(container.pid), '-m', 'sh', '-c', work];
    const worker = spawn('nsenter', argv, { stdio: 'ignore', detached: true });
    const workerEnded = new Promise((resolve) => worker.once('exit', resolve));
    const stopWorker = async (): Promise<void> => {
      if (worker.exitCode === null && worker.signalCode === null) process.kill(-(worker.pid ?? 0), 'SIGKILL');
      await workerEnded;
    };
    defer(t, stopWorker);
    const momentMs = Math.random() * MOMENT_MS;
    await delay(momentMs);

    const victims: readonly string[] = VICTIMS[round % VICTIMS.length] ?? [];
    const when = `round ${round}: ${victims.join(', ')} killed after ${momentMs.toFixed(0)} ms`;
    const kills: Record<string, () => Promise<unknown>> = {
      container: () => Promise.all([stopWorker(), container.stop()]),
      loopfs: serving.kill,
      agent: () => agent.stop('SIGKILL'),
    };
    await Promise.all(victims.map((victim) => kills[victim]?.()));
    if (victims.includes('agent')) agent = await startAgent(t, environment);
    if (victims.includes('loopfs')) await serving.start();

    // What lives still works, or works again.
    await stopWorker();
    if (!victims.includes('container')) {
      await eventually(when, async () => (await container.try('losetup -D; losetup -f')).code === 0);
      await container.stop();
    }
    await eventually(
      `nothing is left, ${when}`,
      async () => {
        const left = await loopsBetween(FIRST, FIRST + 999);
        return left.length === 0 && ((await serving.ask('list')) as unknown[]).length === 0;
      },
      30_000,
    );
    assert.equal(await countMounts(), mountsBefore, when);
    const { stdout } = await command('losetup', ['-n', '-O', 'NAME', '-j', image]);
    assert.equal(stdout, '', when);
  }
});
