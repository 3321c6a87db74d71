/** `loopwarden demo --live` on this kernel: everything is seen as it should be, and nothing of it is left. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { agentsOwn, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { command } from '../support/shell.js';
import { eventually, SLOWNESS } from '../support/wait.js';

const MAIN = join(PACKAGE_ROOT, 'dist/main.js');
const TITLES = 8;

before(() => void execFileSync('bash', [join(PACKAGE_ROOT, 'scripts/build-ts.sh')], { stdio: 'ignore' }));

interface Report {
  ok: boolean;
  interrupted: boolean;
  steps: { title: string; ok: boolean | null; seen: { ok: boolean; text: string }[] }[];
}

/** What the demo could leave: loop devices, pins, its folder, processes that know it. */
function tracesIn(parent: string): string[] {
  const pins = existsSync('/sys/fs/bpf') ? readdirSync('/sys/fs/bpf') : [];
  const processes = readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(parent);
    } catch {
      return false;
    }
  });
  return [
    ...readdirSync('/sys/block').filter((name) => name.startsWith('loop')),
    ...pins.filter((name) => name.startsWith('loopwarden-demo-')),
    ...processes.map((pid) => `process ${pid}`),
    ...readdirSync(parent),
  ];
}

/** A folder for the demo's own, and a check that all is as it was before. */
function watchTraces(t: TestContext): { env: NodeJS.ProcessEnv; parent: string; check(): void } {
  const parent = mkdtempSync(join(tmpdir(), 'loopwarden-test-'));
  execFileSync('chmod', ['755', parent]);
  defer(t, () => rmSync(parent, { recursive: true, force: true }));
  const before = tracesIn(parent);
  return {
    parent,
    env: { ...agentsOwn(process.env), TMPDIR: parent },
    check: () => assert.deepEqual(tracesIn(parent), before),
  };
}

test('each step shows what it should, by an agent of its own, and leaves nothing', async (t) => {
  const { env, parent, check } = watchTraces(t);
  const socket = join(parent, 'none.sock');
  const { code, stdout, stderr } = await command(
    process.execPath,
    [MAIN, 'demo', '--live', '--socket', socket],
    env,
  );
  assert.equal(code, 0, stdout + stderr);
  assert.equal(stdout.match(/^\d of 8 {2}/gm)?.length, TITLES);
  assert.match(stdout, /everything was seen as it should be; nothing of it is left\n$/);
  assert.match(
    stdout,
    /# udevadm monitor -k\n +\(silence\)\n {2}seen: the host’s udev heard nothing of \/dev\/loop/,
  );
  assert.match(stdout, /seen: the container has \/dev\/loop60000, and no other loop device/);
  assert.match(stdout, /seen: one digit is another in a copy of the log: found/);
  check();
});

test('an agent that runs is used, and neither stopped nor changed', async (t) => {
  const agent = await startAgent(t);
  const { env, check } = watchTraces(t);
  const before = await agent.ask('status');
  const { code, stdout, stderr } = await command(process.execPath, [MAIN, 'demo', '--live', '--json'], {
    ...env,
    ...agentsOwn(agent.env),
    TMPDIR: env.TMPDIR,
  });
  assert.equal(code, 0, stdout + stderr);
  const { ok, steps } = JSON.parse(stdout) as Report;
  assert.ok(ok);
  assert.deepEqual(
    steps.map((step) => step.ok),
    [true, true, true, true, true, null, true, null],
  );
  const after = await agent.ask('status');
  for (const key of ['pid', 'startedAt', 'filterMode']) assert.deepEqual(after[key], before[key]);
  check();

  // What is not shown is told, and its exit code says so.
  assert.equal((await agent.cli('filter', 'observe')).code, 0);
  const refused = await command(process.execPath, [MAIN, 'demo', '--live'], { ...env, ...agent.env });
  assert.equal(refused.code, 78);
  assert.match(refused.stderr, /the one that runs is set to observe; loopwarden filter on/);
});

/** In the middle of the step with loopfs there is everything: agent, loopfs, container, instance, device. */
for (const [signal, moment] of [
  ['SIGINT', /# losetup -f --show \S+loopfs\.img/],
  ['SIGTERM', /# kill -9 \d+/],
] as const)
  test(`interrupted by ${signal} half-way it leaves nothing`, async (t) => {
    const { env, parent, check } = watchTraces(t);
    const demo = spawn(process.execPath, [MAIN, 'demo', '--live', '--socket', join(parent, 'none.sock')], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk));
    const ended = new Promise<number | null>((resolve) => demo.once('exit', resolve));
    defer(t, async () => {
      demo.kill('SIGKILL');
      await ended;
    });
    await eventually(
      'it is half-way',
      () => {
        assert.equal(demo.exitCode, null, said);
        return moment.test(said);
      },
      60_000 * SLOWNESS,
    );
    demo.kill(signal);
    assert.equal(await ended, 1, said);
    assert.match(said, /interrupted; nothing of it is left\n$/);
    check();
  });

test('a reader that goes interrupts it, too', async (t) => {
  const { env, parent, check } = watchTraces(t);
  const script = `${process.execPath} ${MAIN} demo --live --socket ${parent}/none.sock | head -n 12; echo ended`;
  const { stdout } = await command('sh', ['-c', script], env);
  assert.match(stdout, /^loopwarden demo --live: /);
  check();
});
