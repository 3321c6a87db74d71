/** What is drawn over and over: `devices --watch`, `top` and `events --follow`, in processes of their own. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { deviceReport, hostDevice } from '../device-fixture.js';
import { WEB } from '../event-fixture.js';
import { defer } from '../support/defer.js';
import { startFixedAgent } from '../support/fixed-agent.js';
import { command } from '../support/shell.js';
import { onTerminal } from '../support/terminal-process.js';
import { eventually } from '../support/wait.js';

before(() => void execFileSync('bash', [join(PACKAGE_ROOT, 'scripts/build-ts.sh')], { stdio: 'ignore' }));

const MAIN = join(PACKAGE_ROOT, 'dist/main.js');
const ESCAPE = String.fromCharCode(27);
const OTHER_SCREEN = `${ESCAPE}[?1049h`;
const OWN_SCREEN = `${ESCAPE}[?1049l`;
const CTRL_C = String.fromCharCode(3);

function envOf({ socket }: { socket: string }): NodeJS.ProcessEnv {
  const { NO_COLOR, ...env } = process.env;
  return { ...env, LOOPWARDEN_API_SOCKET: socket, LOOPWARDEN_AUDIT_PATH: `${socket}.ndjson` };
}

function start(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv) {
  const child: ChildProcess = spawn(process.execPath, [MAIN, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const exit = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
  defer(t, async () => {
    child.kill('SIGKILL');
    await exit;
  });
  return { child, exit, lines: () => output.split('\n').slice(0, -1) };
}

test('devices --watch draws anew when something happens, and Ctrl-C leaves the terminal as it was', async (t) => {
  const agent = await startFixedAgent(t);
  agent.devices = [hostDevice()];
  const { output, type, exit } = onTerminal(t, ['devices', '--watch'], { env: envOf(agent) });
  await eventually('the first drawing', () => output().includes('loop4'));
  assert.ok(output().startsWith(OTHER_SCREEN), JSON.stringify(output().slice(0, 40)));
  assert.doesNotMatch(output(), /loop3/);
  agent.devices = [deviceReport(), hostDevice()];
  // Later than the subscription: whoever is told of nothing draws every two seconds all the same.
  agent.feed.publish('{"kind":"ioctl"}');
  await eventually('the new device', () => output().includes('loop3'));
  type(CTRL_C);
  assert.equal(await exit, 0);
  assert.ok(output().includes(OWN_SCREEN));
  assert.ok(output().includes(`${ESCAPE}[?25h`));
});

test('devices --watch waits for the next agent, and a terminal gets no more lines than it has', async (t) => {
  const agent = await startFixedAgent(t);
  agent.devices = Array.from({ length: 50 }, (_, at) => hostDevice({ name: `loop${at}` }));
  const { output, type, exit } = onTerminal(t, ['devices', '-w'], { env: envOf(agent), rows: 10 });
  await eventually('the first drawing', () => output().includes('… 42 more'));
  assert.doesNotMatch(output(), /loop9/);
  await agent.stop();
  await eventually('the absence', () => output().includes('no agent answers any more'));
  const length = output().length;
  await agent.restart();
  await eventually('the next one', () => output().slice(length).includes('loop0'));
  type(CTRL_C);
  assert.equal(await exit, 0);
});

test('devices --watch --json is a document a line for each change, until SIGTERM', async (t) => {
  const agent = await startFixedAgent(t);
  agent.devices = [hostDevice()];
  const { child, exit, lines } = start(t, ['devices', '--watch', '--json', '-o', 'NAME'], envOf(agent));
  await eventually('the first document', () => lines().length === 1);
  agent.feed.publish('{"kind":"ioctl"}');
  agent.devices = [hostDevice(), deviceReport()];
  agent.feed.publish('{"kind":"ioctl"}');
  await eventually('the second', () => lines().length === 2);
  child.kill('SIGTERM');
  assert.equal(await exit, 0);
  assert.deepEqual(
    lines().map((line) => JSON.parse(line)),
    [[{ name: 'loop4' }], [{ name: 'loop4' }, { name: 'loop3' }]],
  );
});

test('events --follow shows what is new, ends well on SIGINT, and does not miss what comes at once', async (t) => {
  const agent = await startFixedAgent(t);
  const line = (seq: number) =>
    `{"seq":${seq},"time":"2026-11-25T04:40:00.000000000Z","kind":"agent","command":"start"}`;
  agent.feed.publish(line(1));
  const { child, exit, lines } = start(t, ['events', '-f', '--json'], envOf(agent));
  await eventually('what was', () => lines().length === 1);
  agent.feed.publish(line(2));
  agent.feed.publish(line(3));
  await eventually('what is new', () => lines().length === 3);
  child.kill('SIGINT');
  assert.equal(await exit, 0);
  assert.deepEqual(
    lines().map((each) => JSON.parse(each).seq),
    [1, 2, 3],
  );
});

test('top is live on a terminal, and once elsewhere', async (t) => {
  const agent = await startFixedAgent(t);
  agent.devices = [deviceReport()];
  const counts = { ioctls: 12, failures: 3, hiddenUevents: 4 };
  agent.activity.rows = [
    {
      container: WEB,
      userns: { id: 77n, inum: 4_026_532_101 },
      total: counts,
      perSecond: counts,
      lastBootNs: 1n,
    },
  ];
  const once = await command(process.execPath, [MAIN, 'top'], envOf(agent));
  assert.deepEqual([once.code, once.stderr], [0, '']);
  assert.match(
    once.stdout,
    /1 users, 1 devices, 1 bound\n\nWHO .*\ndocker\/web +4026532101 +1 +1 +12\.0 +3\.0 +4\.0 +12 +3 +4\n$/,
  );
  const { output, type, exit } = onTerminal(t, ['top', '-d', '0.2'], { env: envOf(agent), columns: 120 });
  await eventually('three drawings', () => output().split('docker/web').length > 3);
  type(CTRL_C);
  assert.equal(await exit, 0);
  const limited = onTerminal(t, ['top', '-n', '2', '-d', '0.1'], { env: envOf(agent) });
  assert.equal(await limited.exit, 0);
});

test('colours are for terminals, and NO_COLOR and --color are heeded', async (t) => {
  const agent = await startFixedAgent(t);
  agent.devices = [deviceReport({ orphan: true })];
  const env = envOf(agent);
  const painted = async (args: string[], more: NodeJS.ProcessEnv = {}): Promise<boolean> => {
    const terminal = onTerminal(t, ['devices', ...args], { env: { ...env, ...more }, columns: 120 });
    assert.equal(await terminal.exit, 0);
    assert.ok(terminal.output().includes('orphan'));
    return terminal.output().includes(`${ESCAPE}[`);
  };
  assert.deepEqual(
    [
      await painted([]),
      await painted([], { NO_COLOR: '1' }),
      await painted([], { NO_COLOR: '' }),
      await painted(['--color', 'never']),
      await painted(['--color=always'], { NO_COLOR: '1' }),
      await painted(['--json']),
    ],
    [true, false, true, false, true, false],
  );
  const piped = await command(process.execPath, [MAIN, 'devices'], env);
  assert.ok(!piped.stdout.includes(ESCAPE));
});

test('a table fits the terminal, and what is cut is the longest', async (t) => {
  const agent = await startFixedAgent(t);
  const backing = { ...deviceReport().backing, path: `/srv/${'images/'.repeat(30)}root.img` } as never;
  agent.devices = [deviceReport({ backing }), hostDevice()];
  for (const columns of [60, 80, 100, 200]) {
    const terminal = onTerminal(t, ['devices', '--color', 'never'], { env: envOf(agent), columns });
    assert.equal(await terminal.exit, 0);
    const lines = terminal.output().split('\r\n').slice(0, -1);
    assert.equal(lines.length, 3);
    for (const line of lines) assert.ok([...line].length <= columns, `${columns}: ${line}`);
    if (columns >= 80) assert.match(lines[1] ?? '', /…\S*root\.img$/);
  }
});
