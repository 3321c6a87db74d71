/** `loopwarden demo` as somebody without any privilege has it, with all that can be asked of it. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { agentsOwn } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { ask } from '../support/http-get.js';
import { command, type Outcome } from '../support/shell.js';
import { eventually } from '../support/wait.js';

const NOBODY = 65_534;

/** A copy of what is built, and of nothing else: no packages, no addon, no BPF; and where nobody may read it. */
const copy = mkdtempSync(join(tmpdir(), 'loopwarden-test-'));
const MAIN = join(copy, 'dist/main.js');

before(() => {
  execFileSync('bash', [join(PACKAGE_ROOT, 'scripts/build-ts.sh')], { stdio: 'ignore' });
  for (const name of ['dist', 'package.json'])
    cpSync(join(PACKAGE_ROOT, name), join(copy, name), {
      recursive: true,
      filter: (path) => !path.endsWith('/bpf'),
    });
  chmodSync(copy, 0o755);
});
after(() => rmSync(copy, { recursive: true }));

interface Demo {
  child: ChildProcess;
  url: string;
  folder: string;
  config: string;
  socket: string;
  /** Where its folder was made: nothing else is in it. */
  parent: string;
  ended: Promise<number | null>;
  stderr(): string;
  cli(...words: string[]): Promise<Outcome>;
  json(...words: string[]): Promise<Answer>;
}

// biome-ignore lint/suspicious/noExplicitAny: answers are read as they come
type Answer = any;

/** As nobody, where the tests are root's. */
function environmentOf(t: TestContext): { parent: string; env: NodeJS.ProcessEnv } {
  const parent = mkdtempSync(join(tmpdir(), 'loopwarden-test-'));
  defer(t, () => rmSync(parent, { recursive: true, force: true }));
  chmodSync(parent, 0o777);
  const env = { ...agentsOwn(process.env), TMPDIR: parent };
  return { parent, env };
}

const words = (): string[] =>
  process.geteuid?.() === 0
    ? [
        'setpriv',
        `--reuid=${NOBODY}`,
        `--regid=${NOBODY}`,
        '--clear-groups',
        '--no-new-privs',
        process.execPath,
        MAIN,
      ]
    : [process.execPath, MAIN];

async function startDemo(t: TestContext, ...options: string[]): Promise<Demo> {
  const { parent, env } = environmentOf(t);
  const [file = '', ...args] = [...words(), 'demo', '--json', '--http-port', '0', ...options];
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  defer(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const places = await eventually('the demo greets', () => {
    assert.equal(child.exitCode, null, stderr);
    return (
      stdout.includes('\n') && (JSON.parse(stdout) as Pick<Demo, 'url' | 'folder' | 'config' | 'socket'>)
    );
  });
  const cli = (...rest: string[]): Promise<Outcome> => {
    const [program = '', ...more] = [...words(), ...rest, '--config', places.config];
    return command(program, more, env);
  };
  return {
    ...places,
    ...{ child, parent, ended, cli },
    stderr: () => stderr,
    async json(...rest) {
      const { code, stdout: text, stderr: complaint } = await cli(...rest, '--json');
      assert.equal(code, 0, complaint);
      return JSON.parse(text);
    },
  };
}

/** The recording up to the moment before `caption`, which then lasts: however slow this machine is. */
function heldBefore(t: TestContext, caption: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'loopwarden-test-'));
  defer(t, () => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const lines = gunzipSync(readFileSync(join(copy, 'dist/demo/recording.ndjson.gz')))
    .toString()
    .split('\n');
  const end = lines.findIndex((line) => line.includes(`"caption":"${caption}`));
  assert.ok(end > 0, caption);
  const lastNs = BigInt(JSON.parse(lines[end] ?? '').atNs);
  const held = [...lines.slice(0, end), JSON.stringify({ atNs: String(lastNs + 86_400_000_000_000n) }), ''];
  const path = join(folder, 'held.ndjson.gz');
  writeFileSync(path, gzipSync(held.join('\n')));
  return path;
}

test('shows a host with containers to anybody, and leaves nothing behind', async (t) => {
  const recording = heldBefore(t, 'The machine lab makes a device');
  const demo = await startDemo(t, '--speed', '100', '--recording', recording);
  const get = async (path: string): Promise<Answer> => JSON.parse((await ask(`${demo.url}${path}`)).body);

  const orphan = await eventually('an orphan of guest', async () =>
    (await get('/api/v1/devices')).find((each: Answer) => each.orphan),
  );
  assert.deepEqual([orphan.container.name, orphan.hidden], ['guest', true]);
  const rows: Answer[] = await demo.json('devices');
  const named = rows.filter(({ state }) => state === 'bound').map(({ container }) => container?.name);
  assert.ok(named.includes('shop-db') && named.includes('batch/image-builder-7/build'), String(named));
  assert.deepEqual(
    rows.find(({ container }) => container?.name === 'batch/image-builder-7/build').partitions.length,
    2,
  );
  assert.match((await demo.cli('devices')).stdout, / docker\/shop-db /);
  assert.match((await demo.cli('top', '-n', '1')).stdout, /^docker\/ci-runner /m);
  const table =
    (await demo.cli('devices', '--owner', 'userns')).stdout + (await demo.cli('events', '-n', 'all')).stdout;
  assert.ok(table.includes('onerror=alert(1)'), 'the hostile name is there');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be there
  assert.doesNotMatch(table, /[\u0000-\u0009\u000b-\u001f\u202e]/);

  const { host, unready, revision, kernel } = await get('/api/v1/status');
  assert.deepEqual([host, revision], ['demo (a recording)', 'demo']);
  assert.match(kernel, /^\d+\.\d+$/);
  assert.match(unready.join(), /this is a demo/);
  assert.equal((await ask(`${demo.url}/readyz`)).status, 503);
  assert.match((await ask(demo.url)).body, /<title>loopwarden<\/title>/);

  const metrics = (await ask(`${demo.url}/metrics`)).body;
  const check = spawnSync('promtool', ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
  assert.deepEqual([check.stdout, check.stderr, check.status], ['', '', 0]);
  assert.match(metrics, /^loopwarden_build_info\{version="[^"]+",revision="demo"\} 1$/m);
  assert.match(metrics, /^loopwarden_records_unaccounted 0$/m);
  assert.match(metrics, /^loopwarden_orphans 1$/m);

  const verified = await eventually('the log has a checkpoint', async () => {
    const outcome = await demo.cli('audit', 'verify');
    return outcome.code === 0 && outcome;
  });
  assert.match(verified.stdout, /^fine: \d+ lines in 1 file, checkpoints 1 to/m);
  const change = await demo.cli('filter', 'off');
  assert.equal(change.code, 1);
  assert.match(
    change.stderr,
    /^loopwarden: this is a demo.*cannot change what is hidden; start the real agent/,
  );

  demo.child.kill('SIGTERM');
  assert.equal(await demo.ended, 0, demo.stderr());
  assert.equal(demo.stderr(), '');
  assert.deepEqual(readdirSync(demo.parent), []);
});

test('begins anew with new lives, counters that only grow, and a device’s story that is told once', async (t) => {
  const demo = await startDemo(t, '--speed', '100');
  const count = async (): Promise<number> => {
    const { body } = await ask(`${demo.url}/metrics`);
    return Number(/^loopwarden_events_total\{kind="ioctl"\} (\d+)$/m.exec(body)?.[1]);
  };
  const counts: number[] = [];
  const volumes = new Set<string>();
  await eventually('a third pass', async () => {
    counts.push(await count());
    const lines = (await demo.cli('events', '-n', 'all', '--json', '--container', 'shop-db')).stdout;
    for (const line of lines.split('\n').filter(Boolean)) {
      const { command: name, result, device } = JSON.parse(line);
      if (name === 'LOOP_CONFIGURE' && result === 'ok') volumes.add(`${device.name} ${device.diskseq}`);
    }
    return volumes.size >= 3;
  });
  assert.deepEqual(
    counts,
    counts.toSorted((a, b) => a - b),
  );
  assert.match((await ask(`${demo.url}/metrics`)).body, /^loopwarden_records_unaccounted 0$/m);
  demo.child.kill('SIGINT');
  assert.equal(await demo.ended, 0, demo.stderr());
  assert.deepEqual(readdirSync(demo.parent), []);
});

test('--once ends by itself, and says what happens as it does', async (t) => {
  const { parent, env } = environmentOf(t);
  const [file = '', ...args] = [...words(), 'demo', '--once', '--speed', '100', '--http-port', '0'];
  const { code, stdout, stderr } = await command(file, args, env);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^loopwarden demo: a recording plays; nothing of this host is watched/);
  assert.match(stdout, /^ {2}page {7}http:\/\/127\.0\.0\.1:\d+$/m);
  assert.match(stdout, /^\d\d:\d\d:\d\d {2}.*orphan/m);
  assert.match(stdout, /audit verify --config \S+config\.yaml$/m);
  assert.deepEqual(readdirSync(parent), []);
});

test('a reader that goes, a second demo and wrong words leave nothing either', async (t) => {
  const { parent, env } = environmentOf(t);
  const program = words().join(' ');
  const head = await command('sh', ['-c', `${program} demo --speed 100 --http-port 0 | head -n 1`], env);
  assert.match(head.stdout, /^loopwarden demo: /);
  const first = await startDemo(t);
  const port = new URL(first.url).port;
  const taken = await command('sh', ['-c', `${program} demo --once --http-port ${port}`], env);
  assert.equal(taken.code, 2);
  assert.match(taken.stderr, /the port is in use/);
  for (const wrong of [
    '--speed 0',
    '--speed fast',
    '--pause',
    '--recording /nonexistent',
    '--audit-log /tmp/x',
  ]) {
    const { code, stderr } = await command('sh', ['-c', `${program} demo ${wrong}`], env);
    assert.equal(code, 2, wrong);
    assert.match(stderr, /^loopwarden: [^\n]+; [^\n]+\n$/);
  }
  if (process.geteuid?.() === 0) {
    const live = await command('sh', ['-c', `${program} demo --live`], env);
    assert.equal(live.code, 77);
  }
  await eventually('the first one’s reader has gone', () => readdirSync(parent).length === 0);
  assert.ok(existsSync(first.folder));
});

test('a recording from anywhere steers no terminal and no page, whatever it says', async (t) => {
  const { parent, env } = environmentOf(t);
  const path = join(parent, 'hostile.gz');
  const evil = '\u001b[2J\u202e<script>alert(1)</script>';
  const [header = '', ...frames] = gunzipSync(readFileSync(join(copy, 'dist/demo/recording.ndjson.gz')))
    .toString()
    .split('\n')
    .filter(Boolean);
  const told = frames.map((line) => {
    const frame = JSON.parse(line);
    if (frame.caption !== undefined) frame.caption = evil;
    for (const { container } of frame.callers ?? []) if (container.name) container.name = evil;
    return JSON.stringify(frame);
  });
  writeFileSync(
    path,
    gzipSync([JSON.stringify({ ...JSON.parse(header), kernel: evil }), ...told, ''].join('\n')),
  );
  const [file = '', ...args] = [
    ...words(),
    'demo',
    '--once',
    '--speed',
    '100',
    '--http-port',
    '0',
    '--recording',
    path,
  ];
  const { code, stdout, stderr } = await command(file, args, env);
  assert.deepEqual([code, stderr], [0, '']);
  assert.ok(stdout.includes('\\u001b[2J\\u202e<script>'));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be there
  assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u202e]/);
  assert.deepEqual(readdirSync(parent), ['hostile.gz']);
  const long = frames.map((line) => JSON.stringify({ ...JSON.parse(line), caption: 'x'.repeat(4097) }));
  writeFileSync(path, gzipSync([header, ...long, ''].join('\n')));
  const refused = await command(file, args, env);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /^loopwarden: line 2: cannot play the recording [^\n]+caption: [^\n]+\n$/);
});
