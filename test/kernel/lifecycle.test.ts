/** Starts that fail leave nothing; an agent that dies leaves the hiding; the next one takes over. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { ask as httpGet } from '../support/http-get.js';
import { tempImage } from '../support/image.js';
import { startMonitor } from '../support/monitor.js';
import { startReceiver } from '../support/receiver.js';
import { command, host, openContainer } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const MAIN = join(PACKAGE_ROOT, 'dist/main.js');

test('keeps hiding after kill -9, and the next agent knows the owner of what is still attached', async (t) => {
  const image = tempImage(t);
  const environment = agentEnvironment(t);
  const first = await startAgent(t, environment);
  const monitor = await startMonitor(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const device = await box.run(`losetup -f --show ${image}`);
  const { owner } = await first.json('explain', device);
  await first.stop('SIGKILL');

  // Nobody runs, and the device's events stay hidden.
  await host(`echo change > /sys/block/${device.replace('/dev/', '')}/uevent`);
  await monitor.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);

  const second = await startAgent(t, environment);
  const report = await second.json('explain', device);
  assert.deepEqual(report.owner, owner);
  assert.equal(report.hidden, true);
  const { receivers } = await second.json('doctor');
  assert.ok(receivers.every((receiver: { class: string }) => receiver.class === 'filtered'));
  await host(`echo change > /sys/block/${device.replace('/dev/', '')}/uevent`);
  await box.run(`losetup -d ${device}`);
  await monitor.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);
  // The new agent's filter is the one that counts: the old one was replaced, not kept beside it.
  const hidden =
    (await second.metrics()).get('loopwarden_uevent_deliveries_total{verdict="hide",rule="holder"}') ?? 0;
  assert.ok(hidden > 0);
});

test('goes on tagging while no agent runs: a life that the host began then is the host’s', async (t) => {
  const image = tempImage(t);
  const environment = agentEnvironment(t);
  const first = await startAgent(t, environment);
  const box = await openContainer();
  defer(t, () => box.leave());
  const device = await box.run(`losetup -f --show ${image}`);
  await first.stop('SIGKILL');
  await host(`losetup -d ${device}; losetup ${device} ${image}`);

  const second = await startAgent(t, environment);
  const report = await second.json('explain', device);
  assert.deepEqual([report.owner.class, report.hidden], ['initial', false]);
});

test('never replaces a filter that a receiver has set itself, and says so', async (t) => {
  const image = tempImage(t);
  const stubborn = await startReceiver(t, undefined, 'classic');
  const agent = await startAgent(t);
  const late = await startReceiver(t, undefined, 'classic');
  const find = async (pid: number) =>
    (await agent.json('doctor')).receivers.find((receiver: { pid: number }) => receiver.pid === pid);
  assert.equal((await find(stubborn.pid)).class, 'foreign_filter');
  await eventually(
    'the metric says it',
    async () => ((await agent.metrics()).get('loopwarden_receivers{class="foreign_filter"}') ?? 0) > 0,
  );
  const { degraded } = await agent.json('doctor');
  assert.ok(degraded.some(({ what }: { what: string }) => what.includes(`pid ${stubborn.pid}`)));

  const box = await openContainer();
  defer(t, () => box.leave());
  await box.run(`d=$(losetup -f --show ${image}); losetup -d $d`);
  await stubborn.catchUp();
  assert.ok(stubborn.loopEvents() > 0, 'its own filter lets everything pass');
  // This one set its filter after ours was on: the kernel has one place, and it is the receiver's.
  assert.equal((await find(late.pid)).class, 'foreign_filter');
});

test('starts within what it promises for filtering, and stops well on SIGTERM and SIGINT', async (t) => {
  const environment = agentEnvironment(t);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const agent = await startAgent(t, environment);
    assert.equal((await httpGet(`${agent.url}/healthz`)).status, 200);
    assert.equal((await httpGet(`${agent.url}/readyz`)).status, 200);
    assert.equal(await agent.stop(signal), 0, agent.log());
    const lines = agent.audit().map((line) => line.command);
    assert.equal(lines.at(-1), 'stop');
  }
});

test('metrics are what promtool calls good, and within the budget of series', async (t) => {
  const agent = await startAgent(t);
  const text = (await httpGet(`${agent.url}/metrics`)).body;
  const checked = await command('sh', ['-c', `printf '%s' "$TEXT" | promtool check metrics`], {
    ...process.env,
    TEXT: text,
  });
  assert.deepEqual(checked, { code: 0, stdout: '', stderr: '' });
  assert.ok((await agent.metrics()).size <= 500);
});

test('keeps filtering while the audit log’s disk is full, counts the lost lines, and goes on afterwards', async (t) => {
  const image = tempImage(t);
  const disk = join(tempFolder(t), 'disk');
  mkdirSync(disk);
  await host(`mount -t tmpfs -o size=64k tmpfs ${disk}`);
  defer(t, () => host(`umount ${disk}`));
  const agent = await startAgent(
    t,
    agentEnvironment(t, { LOOPWARDEN_AUDIT_PATH: join(disk, 'audit.ndjson') }),
  );
  const monitor = await startMonitor(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  await host(`head -c 60000 /dev/zero > ${disk}/ballast || true`);
  await box.run(`for i in 1 2 3 4 5 6 7 8; do d=$(losetup -f --show ${image}); losetup -d $d; done`);
  await eventually('the agent says that the log fails', () =>
    agent.log().includes('the audit log cannot be written'),
  );
  await monitor.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);
  await host(`rm ${disk}/ballast`);
  await eventually('the log is written again', () => agent.log().includes('the audit log is written again'));
});

/** Everything a start can leave behind. */
async function traces(folder: string): Promise<unknown> {
  const { stdout } = await command('bpftool', ['prog', 'show']);
  return {
    programs: stdout.split('\n').filter((line) => /loop_ioctl|uevent_|receiver|list_receivers/.test(line))
      .length,
    pins: readdirSync('/sys/fs/bpf').filter((name) => name.startsWith('loopwarden')),
    socket: existsSync(join(folder, 'api.sock')),
  };
}

test('refuses a start that cannot succeed with one line, the right exit code and no trace', async (t) => {
  const folder = tempFolder(t);
  const { env: base } = agentEnvironment(t, { LOOPWARDEN_API_SOCKET: join(folder, 'api.sock') });
  const port = createServer();
  await new Promise<void>((resolve) => port.listen(0, '127.0.0.1', resolve));
  defer(t, () => port.close());
  const { port: taken } = port.address() as { port: number };
  const config = join(folder, 'config.yaml');
  writeFileSync(config, 'filter:\n  mood: hide\n');
  writeFileSync(join(folder, 'file'), '');

  const cases: {
    name: string;
    env?: NodeJS.ProcessEnv;
    args?: string[];
    as?: string[];
    code: number;
    says: RegExp;
  }[] = [
    {
      name: 'port taken',
      env: { LOOPWARDEN_HTTP_PORT: String(taken) },
      code: 2,
      says: /127\.0\.0\.1:\d+.*in use/,
    },
    {
      name: 'unknown key',
      args: ['--config', config],
      code: 2,
      says: /config\.yaml:2:3: unknown key.*did you mean "filter\.mode"/,
    },
    { name: 'no such config', args: ['--config', join(folder, 'none.yaml')], code: 2, says: /none\.yaml/ },
    {
      name: 'wrong value',
      env: { LOOPWARDEN_FILTER_MODE: 'perhaps' },
      code: 2,
      says: /LOOPWARDEN_FILTER_MODE.*off, observe or hide/,
    },
    {
      name: 'log folder is a file',
      env: { LOOPWARDEN_AUDIT_PATH: join(folder, 'file/audit.ndjson') },
      code: 2,
      says: /audit log/,
    },
    {
      name: 'pins not on bpffs',
      env: { LOOPWARDEN_PINS_PATH: join(folder, 'pins') },
      code: 78,
      says: /BPF file system/,
    },
    {
      name: 'not root',
      as: [
        'setpriv',
        '--reuid=65534',
        '--regid=65534',
        '--clear-groups',
        '--inh-caps=+dac_read_search',
        '--ambient-caps=+dac_read_search',
      ],
      code: 77,
      says: /root/,
    },
    {
      name: 'bpf refused',
      as: ['capsh', '--drop=cap_bpf,cap_sys_admin', '--', '-c', 'exec "$0" "$@"'],
      code: 77,
      says: /bpf\(\)/,
    },
    {
      name: 'no BTF',
      as: ['unshare', '-m', 'sh', '-ec', 'mount -t tmpfs tmpfs /sys/kernel/btf; exec "$0" "$@"'],
      code: 78,
      says: /no type information/,
    },
    { name: 'unknown command', args: ['--nonsense'], code: 2, says: /nonsense/ },
  ];
  for (const { name, env = {}, args = [], as = [], code, says } of cases) {
    const before = await traces(folder);
    const words = [...as, process.execPath, MAIN, 'run', ...args];
    const outcome = await command(words[0] ?? '', words.slice(1), { ...base, ...env });
    assert.equal(outcome.code, code, `${name}: ${outcome.stderr}`);
    assert.match(outcome.stderr, says, name);
    assert.equal(outcome.stderr.trim().split('\n').length, 1, `${name}: ${outcome.stderr}`);
    assert.deepEqual(await traces(folder), before, name);
  }

  const running = await startAgent(t);
  const second = await command(process.execPath, [MAIN, 'run'], base);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /another agent is running: process \d+/);
  assert.equal((await httpGet(`${running.url}/readyz`)).status, 200);
});

test('mounts bpffs where none is mounted, and makes a log folder that is missing', async (t) => {
  const folder = tempFolder(t);
  const { env } = agentEnvironment(t, { LOOPWARDEN_AUDIT_PATH: join(folder, 'new/folder/audit.ndjson') });
  // In a mount namespace of its own, where it is taken away first.
  const script = `umount -l /sys/fs/bpf; "$@" & agent=$!
    for turn in $(seq 100); do [ -s ${folder}/new/folder/audit.ndjson ] && break; sleep 0.1; done
    findmnt -n -o FSTYPE /sys/fs/bpf; kill $agent; wait $agent`;
  const words = ['-m', 'sh', '-ec', script, 'sh', process.execPath, MAIN, 'run', '--json'];
  const { code, stdout, stderr } = await command('unshare', words, env);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^bpf$/m);
});

test('answers every command with 69 when no agent runs, but doctor and help', async (t) => {
  const { env } = agentEnvironment(t);
  for (const args of [['devices'], ['events'], ['explain', 'loop0'], ['filter', 'on']]) {
    const { code, stderr } = await command(process.execPath, [MAIN, ...args], env);
    assert.equal(code, 69, args.join(' '));
    assert.match(stderr, /no agent answers/);
  }
  const { code, stdout } = await command(process.execPath, [MAIN, 'doctor', '--json'], env);
  assert.equal(code, 0);
  const diagnosis = JSON.parse(stdout);
  assert.equal(diagnosis.agent, null);
  assert.ok(diagnosis.kernel.links.length >= 8);
  assert.equal((await command(process.execPath, [MAIN, '--help'], env)).code, 0);
});
