/** The hook with a real OCI runtime, and with whatever else may call it. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { deviceRules } from '../../src/loopfs/device-rules.js';
import { defer } from '../support/defer.js';
import { loopsBetween } from '../support/loopfs.js';
import { startLoopfsHost } from '../support/loopfs-serve.js';
import { makeBundle, RUNTIMES, runBundle, titleOf } from '../support/oci-bundle.js';
import type { Outcome } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const FIRST = 20_000;
const MAIN = join(PACKAGE_ROOT, 'dist/main.js');

before(() => void execFileSync('bash', [join(PACKAGE_ROOT, 'scripts/build-ts.sh')], { stdio: 'ignore' }));

function hookOf(socket: string): { path: string; args: string[] }[] {
  return [{ path: process.execPath, args: ['node', MAIN, 'oci-hook', '--loopfs-socket', socket] }];
}

/** By its path: the shell of busybox has a losetup of its own. */
const USE = `
truncate -s 4M /tmp/disk.img
/sbin/losetup -f --show /tmp/disk.img
/sbin/losetup -n -O NAME,BACK-FILE
/sbin/losetup -D
/sbin/losetup -f
readlink /dev/loop-control
stat -c %u:%g:%a /dev/loopfs/loop-control`;

for (const runtime of RUNTIMES)
  test(`${titleOf(runtime)} starts a container that has loop devices of its own from its first instruction on`, async (t) => {
    const host = await startLoopfsHost(t, FIRST);
    const id = `Loopwarden_${process.pid}`;
    const hooks = { createRuntime: hookOf(host.socket), poststop: hookOf(host.socket) };
    const annotations = { 'loopwarden.loopfs': 'max=1' };
    const bundle = makeBundle(t, { script: USE, annotations, hooks, devices: deviceRules() });
    const { code, stdout, stderr } = await runBundle(bundle, id, runtime);
    assert.equal(code, 0, stderr);
    const device = `/dev/loop${FIRST}`;
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' '));
    assert.deepEqual(lines, [device, `${device} /tmp/disk.img`, device, 'loopfs/loop-control', '0:0:600']);
    assert.deepEqual(await host.ask('list'), []);
    assert.deepEqual(await loopsBetween(FIRST, FIRST + 999), []);
  });

test('while the container runs, its instance is listed with its limit and its devices', async (t) => {
  const host = await startLoopfsHost(t, FIRST);
  const id = `loopwarden-l${process.pid}`;
  const hooks = { createRuntime: hookOf(host.socket), poststop: hookOf(host.socket) };
  const annotations = { 'loopwarden.loopfs': 'max=3' };
  const script = '/sbin/losetup -f; while ! test -e /tmp/end; do cat /dev/null; done';
  const bundle = makeBundle(t, { script, annotations, hooks, devices: deviceRules() });
  const running = runBundle(bundle, id);
  const end = (): void => writeFileSync(join(bundle, 'rootfs/tmp/end'), '');
  defer(t, async () => {
    end();
    await running;
  });
  await eventually('the device is listed', async () => {
    const { stdout } = await host.loopfs('list');
    return new RegExp(`^${id} +placed +\\d+ +100000 +100000 +1 +0 +3$`, 'm').test(stdout);
  });
  end();
  assert.equal((await running).code, 0);
  assert.deepEqual(await host.ask('list'), []);
});

for (const runtime of RUNTIMES)
  test(`${titleOf(runtime)}: a bundle without the rules is given them, or refused with what it lacks`, async (t) => {
    const { socket, ask } = await startLoopfsHost(t, FIRST);
    const hooks = { createRuntime: hookOf(socket), poststop: hookOf(socket) };
    const said = join(tempFolder(t), 'said');
    const annotations = { 'loopwarden.loopfs': 'true', 'run.oci.hooks.stderr': said };
    const bundle = makeBundle(t, { script: USE, annotations, hooks, devices: [] });
    const { code, stdout, stderr } = await runBundle(bundle, `loopwarden-r${process.pid}`, runtime);
    if (runtime.cgroups === 1) {
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`^/dev/loop${FIRST}\n`));
    } else {
      assert.notEqual(code, 0);
      assert.equal(stdout, '');
      assert.match(stderr, /device cgroup would refuse its loop devices: .* major 7, 259; add to /);
    }
    assert.deepEqual(await ask('list'), []);
  });

test('without the annotation nothing is placed', async (t) => {
  const { socket, ask } = await startLoopfsHost(t, FIRST);
  const hooks = { createRuntime: hookOf(socket), poststop: hookOf(socket) };
  const script = 'test ! -e /dev/loopfs';
  const plain = makeBundle(t, { script, annotations: {}, hooks, devices: [] });
  const outcome = await runBundle(plain, `loopwarden-p${process.pid}`);
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.deepEqual(await ask('list'), []);
});

function runHook(socket: string, input: string | Buffer): Promise<Outcome> {
  const child = spawn(process.execPath, [MAIN, 'oci-hook', '--loopfs-socket', socket]);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
  // It need not read all that it is sent.
  child.stdin.on('error', () => {});
  child.stdin.write(input);
  if (input !== '') child.stdin.end();
  return new Promise((resolve) =>
    child.once('close', (code) => {
      child.stdin.destroy();
      resolve({ code: code ?? -1, stdout, stderr });
    }),
  );
}

test('what is no call of a runtime ends in one line and the code of the table', async (t) => {
  const socket = join(tempFolder(t), 'none.sock');
  const state = {
    ociVersion: '1.0.0',
    id: 'x',
    status: 'creating',
    pid: process.pid,
    bundle: '/nonexistent',
  };
  const wish = { annotations: { 'loopwarden.loopfs': 'true' } };
  const cases: [string, string | Buffer, number, RegExp][] = [
    ['nothing, and stdin stays open', '', 2, /no end within/],
    ['no JSON', 'hello', 2, /no JSON/],
    ['a list', '[]', 2, /no JSON object/],
    ['too much', Buffer.alloc(3 << 20, 'x'), 2, /larger than 1 MiB/],
    ['no id', JSON.stringify({ ...state, id: 7 }), 2, /no id/],
    [
      'a wish that cannot be',
      JSON.stringify({ ...state, annotations: { 'loopwarden.loopfs': 'max=no' } }),
      2,
      /max=N/,
    ],
    ['the wrong stage', JSON.stringify({ ...state, ...wish, status: 'running' }), 2, /not createRuntime/],
    ['no bundle', JSON.stringify({ ...state, ...wish }), 2, /config\.json/],
    ['no process', JSON.stringify({ ...state, ...wish, pid: 2 ** 22 }), 1, /is no container/],
    ['no wish', JSON.stringify(state), 0, /^$/],
    ['the end of what never was', JSON.stringify({ ...state, status: 'stopped', pid: 0 }), 0, /^$/],
  ];
  await Promise.all(
    cases.map(async ([what, input, expected, words]) => {
      const { code, stdout, stderr } = await runHook(socket, input);
      assert.deepEqual([code, stdout], [expected, ''], `${what}: ${stderr}`);
      assert.match(stderr, words, what);
      assert.ok(stderr.split('\n').length <= 2, what);
    }),
  );
});

test('without a loopfs process the container is not started, and says why', async (t) => {
  const socket = join(tempFolder(t), 'none.sock');
  // crun throws away what a hook says unless it is told where to keep it.
  const said = join(tempFolder(t), 'said');
  const annotations = { 'loopwarden.loopfs': 'true', 'run.oci.hooks.stderr': said };
  const hooks = { createRuntime: hookOf(socket) };
  const bundle = makeBundle(t, { script: 'echo started', annotations, hooks, devices: [] });
  const { code, stdout, stderr } = await runBundle(bundle, `loopwarden-n${process.pid}`);
  assert.notEqual(code, 0);
  assert.equal(stdout, '');
  assert.match(stderr, /exit code: 69/);
  assert.match(readFileSync(said, 'utf8'), /^loopwarden: no loopfs answers [^\n]+\n$/);
});
