/** What the unit of systemd starts: a process that loads, and the agent in a sandbox that could not. */
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadNative } from '../../src/kernel/native.js';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import {
  type AgentEnvironment,
  type AgentProcess,
  agentEnvironment,
  startAgent,
} from '../support/agent-process.js';
import { IS_OLD_KERNEL, loadAsUnit, startAsUnit } from '../support/agent-unit.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { ioctls, LOOP_CTL_ADD } from '../support/ioctl.js';
import { linksOf, proveHiding } from '../support/links.js';
import { startMonitor } from '../support/monitor.js';
import { removeDevice } from '../support/remove-device.js';
import { command, container, host, openContainer } from '../support/shell.js';
import { threadsOf } from '../support/threads.js';
import { startUdevd } from '../support/udevd.js';
import { buildWithBpf } from '../support/variant.js';
import { eventually } from '../support/wait.js';

/** Of a device that nobody else makes. */
const NUMBER = 787;
const MAIN = join(PACKAGE_ROOT, 'dist/main.js');
const PTRACE = 1n << 19n;
const SEARCH = 1n << 2n;
const BPF = 1n << 39n;

async function start(t: TestContext, environment: AgentEnvironment): Promise<AgentProcess> {
  const { code, stderr } = await loadAsUnit(environment);
  assert.equal(code, 0, stderr);
  return startAsUnit(t, environment);
}

/** Ids of the programs that act, or have: those that other programs have taken the place of are not among them. */
function gateIds({ env }: AgentEnvironment): number[] {
  const native = loadNative();
  const folder = join(env.LOOPWARDEN_PINS_PATH ?? '', 'gates-1/programs');
  return readdirSync(folder).map((name) => {
    const program = native.openPinnedProgram(join(folder, name));
    const { id } = program;
    program.close();
    return id;
  });
}

test('in the sandbox of its unit the agent has two capabilities, and no network of the host', async (t) => {
  const agent = await start(t, agentEnvironment(t));
  const threads = threadsOf(agent.pid);
  for (const { name, permitted, noNewPrivileges } of threads) {
    const kept =
      { 'lw-receivers': PTRACE, 'lw-privileged': PTRACE | SEARCH }[name] ?? (IS_OLD_KERNEL ? BPF : 0n);
    assert.equal(permitted, kept, name);
    assert.ok(noNewPrivileges, name);
  }
  assert.notEqual(readlinkSync(`/proc/${agent.pid}/ns/net`), readlinkSync('/proc/self/ns/net'));
  assert.ok(Object.keys(await linksOf(agent)).length === 4);
});

test('in the sandbox of its unit it hides, audits, counts, and knows owners, containers and udevd', async (t) => {
  await startUdevd(t);
  const agent = await start(t, agentEnvironment(t));
  await proveHiding(t, agent);
  await agent.settle();
  const attached = agent
    .audit()
    .find(({ command: name, caller }) => name === 'LOOP_CONFIGURE' && caller.userns.level === 1);
  assert.equal(attached.owner.after, attached.caller.userns.id);
  assert.equal(attached.container.source, 'cgroup');
  // Where there are no trampolines, by its own ear in another network namespace.
  const uevents = agent
    .audit()
    .filter(({ kind, device }) => kind === 'uevent' && device.name === attached.device.name);
  assert.ok(uevents.length > 0);
  const { receivers } = await agent.json('doctor');
  const found = receivers.find(({ command: name }: { command: string }) => name === 'systemd-udevd');
  assert.match(found.executable, /udev/);
  const metrics = await agent.metrics();
  assert.equal(metrics.get('loopwarden_ready'), 1);
  assert.equal(metrics.get('loopwarden_host_receivers{kind="udevd"}'), 1);
  assert.ok([...metrics.keys()].some((name) => name.startsWith('loopwarden_program_missed_total{')));
  for (const mode of ['off', 'on']) assert.equal((await agent.cli('filter', mode)).code, 0);
});

test('in the sandbox of its unit it tells the host’s udev of a device that passes to the host', async (t) => {
  const image = tempImage(t);
  const agent = await start(t, agentEnvironment(t));
  const monitor = await startMonitor(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  defer(t, () => removeDevice(NUMBER));
  await box.run(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, NUMBER]]));
  await host(`losetup /dev/loop${NUMBER} ${image}`);
  await eventually('the host is told of the device', () =>
    monitor.loopEvents().some(({ ACTION, DEVNAME }) => ACTION === 'add' && DEVNAME === `/dev/loop${NUMBER}`),
  );
  assert.match(agent.log(), /handed over to the host/);
  await host(`losetup -d /dev/loop${NUMBER}`);
});

test('killed and started again as by its unit, it has missed nothing, and nothing was shown meanwhile', async (t) => {
  const image = tempImage(t);
  const environment = agentEnvironment(t);
  const first = await start(t, environment);
  const monitor = await startMonitor(t);
  await eventually('the monitor is filtered', async () => {
    const { receivers } = await first.json('doctor');
    return receivers.some(
      ({ pid, class: kind }: { pid: number; class: string }) => pid === monitor.pid && kind === 'filtered',
    );
  });
  const ids = gateIds(environment);
  await first.stop('SIGKILL');
  const use = `d=$(losetup -f --show ${image}); losetup -d $d`;
  await container(use);
  assert.equal((await loadAsUnit(environment)).code, 0);
  // Between the two as before them.
  await container(use);
  const second = await startAsUnit(t, environment);
  await container(use);
  await second.settle();
  await monitor.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);
  assert.deepEqual(gateIds(environment), ids);
  const done = second
    .audit()
    .filter(({ command: name, caller }) => name === 'LOOP_CONFIGURE' && caller.comm === 'losetup');
  assert.equal(done.length, 3);
  const metrics = await second.metrics();
  assert.equal(
    metrics.get('loopwarden_records_total{state="produced"}'),
    metrics.get('loopwarden_records_total{state="delivered"}'),
  );
});

test('run --loaded begins only where this very version has loaded, and leaves what is there', async (t) => {
  const environment = agentEnvironment(t);
  const refused = async (reason: RegExp): Promise<void> => {
    const { code, stderr } = await command(process.execPath, [MAIN, 'run', '--loaded'], environment.env);
    assert.equal(code, 1, stderr);
    assert.match(stderr, reason);
  };
  await refused(/nothing has been loaded/);
  const main = await buildWithBpf(t, {
    file: 'maps.bpf.h',
    from: 'struct inflight_entry, 8192',
    to: 'struct inflight_entry, 8191',
  });
  assert.equal((await loadAsUnit(environment, main)).code, 0);
  await refused(/another version/);
  // The other's report is in its place, and its programs act.
  assert.equal((await loadAsUnit(environment)).code, 0);
  const agent = await startAsUnit(t, environment);
  await proveHiding(t, agent);
});

test('load leaves a running agent alone, and one that loads by itself goes on with what was loaded', async (t) => {
  const environment = agentEnvironment(t);
  assert.equal((await loadAsUnit(environment)).code, 0);
  const ids = gateIds(environment);
  assert.equal((await loadAsUnit(environment)).code, 0);
  const agent = await startAgent(t, environment);
  assert.deepEqual(gateIds(environment), ids);
  const { code, stderr } = await loadAsUnit(environment);
  assert.equal(code, 1);
  assert.match(stderr, /another agent is running/);
  await proveHiding(t, agent);
});
