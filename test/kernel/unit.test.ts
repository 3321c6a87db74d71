/** What the unit of systemd starts: a process that loads, and the agent in a sandbox that could not. */
import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { HOOK_NAMES } from '../../src/kernel/hooks.js';
import { type AgentEnvironment, type AgentProcess, agentEnvironment } from '../support/agent-process.js';
import { IS_OLD_KERNEL, loadAsUnit, startAsUnit } from '../support/agent-unit.js';
import { defer } from '../support/defer.js';
import { gateIds } from '../support/gate-ids.js';
import { tempImage } from '../support/image.js';
import { ioctls, LOOP_CTL_ADD } from '../support/ioctl.js';
import { linksOf, proveHiding } from '../support/links.js';
import { startMonitor } from '../support/monitor.js';
import { removeDevice } from '../support/remove-device.js';
import { container, host, openContainer } from '../support/shell.js';
import { threadsOf } from '../support/threads.js';
import { startUdevd } from '../support/udevd.js';
import { eventually } from '../support/wait.js';

/** Of a device that nobody else makes. */
const NUMBER = 787;
const PTRACE = 1n << 19n;
const SEARCH = 1n << 2n;
const BPF = 1n << 39n;

async function start(t: TestContext, environment: AgentEnvironment): Promise<AgentProcess> {
  const { code, stderr } = await loadAsUnit(environment);
  assert.equal(code, 0, stderr);
  return startAsUnit(t, environment);
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
  assert.equal(Object.keys(await linksOf(agent)).length, HOOK_NAMES.length);
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
