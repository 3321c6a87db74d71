/** A running agent has given its capabilities up, and still does what needs them. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LOOP_MODULE_BTF, PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { LOOPFS_CAPABILITIES } from '../../src/loopfs/capabilities.js';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { tempImage } from '../support/image.js';
import { startMonitor } from '../support/monitor.js';
import { container } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';

const PTRACE = 1n << 19n;
const SEARCH = 1n << 2n;

/** Of each thread: its name, what it may have, and whether it can get more. */
function threadsOf(pid: number): { name: string; permitted: bigint; noNewPrivileges: boolean }[] {
  return readdirSync(`/proc/${pid}/task`).map((task) => {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    const field = (key: string): string => new RegExp(`^${key}:\\t(.*)$`, 'm').exec(status)?.[1] ?? '';
    return {
      name: field('Name'),
      permitted: BigInt(`0x${field('CapPrm')}`),
      noNewPrivileges: field('NoNewPrivs') === '1',
    };
  });
}

test('only two threads keep a capability, and no thread can get one', async (t) => {
  const agent = await startAgent(t);
  const threads = threadsOf(agent.pid);
  assert.ok(threads.length > 6);
  for (const { name, permitted, noNewPrivileges } of threads) {
    const kept = { 'lw-receivers': PTRACE, 'lw-privileged': PTRACE | SEARCH }[name] ?? 0n;
    assert.equal(permitted, kept, name);
    assert.ok(noNewPrivileges, name);
  }
  assert.match(agent.log(), /capabilities given up/);
});

test('what needs a capability is still done: new receivers are filtered and known, containers and owners too', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const monitor = await startMonitor(t);
  await container(`d=$(losetup -f --show ${image}); losetup -d $d`);
  await monitor.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);
  for (const mode of ['off', 'on']) assert.equal((await agent.cli('filter', mode)).code, 0);
  const { receivers } = await agent.json('doctor');
  const found = receivers.find(({ pid }: { pid: number }) => pid === monitor.pid);
  assert.equal(found.class, 'filtered');
  assert.match(found.executable, /udevadm$/);
  await agent.settle();
  const attached = agent.audit().find(({ command }) => command === 'LOOP_CONFIGURE');
  assert.equal(attached.caller.userns.level, 1);
  assert.equal(attached.owner.after, attached.caller.userns.id);
  // By the cgroup's id, which only CAP_DAC_READ_SEARCH opens; losetup has long ended.
  assert.equal(attached.container.source, 'cgroup');
});

test('an agent that keeps loopfs running keeps what loopfs needs, and no more', async (t) => {
  const folder = tempFolder(t);
  const agent = await startAgent(
    t,
    agentEnvironment(t, {
      LOOPWARDEN_LOOPFS_SERVE: 'true',
      LOOPWARDEN_LOOPFS_SOCKET: `${folder}/loopfs.sock`,
      LOOPWARDEN_LOOPFS_FOLDER: `${folder}/loopfs`,
      LOOPWARDEN_LOOPFS_FIRST_NUMBER: '39000',
    }),
  );
  const own = threadsOf(agent.pid).filter(({ name }) => !name.startsWith('lw-'));
  for (const { permitted } of own) assert.equal(permitted & ~BigInt(LOOPFS_CAPABILITIES), 0n);
});

test('with the capabilities of its unit it starts, and again on what an earlier one left, and counts runs', async (t) => {
  const unit = readFileSync(join(PACKAGE_ROOT, 'packaging/systemd/loopwarden.service'), 'utf8');
  const named = /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.replaceAll('CAP_', '+').toLowerCase() ?? '';
  // Nothing else may need CAP_SYS_ADMIN than what it is for.
  const withoutAdmin = existsSync(LOOP_MODULE_BTF) ? [] : [named.replace(/ ?\+sys_admin/, '')];
  const bounds = [named, ...withoutAdmin].map((each) => `-all,${each.replaceAll(' ', ',')}`);
  const environment = agentEnvironment(t);
  const image = tempImage(t);
  for (const bound of [...bounds, ...bounds]) {
    const within = ['setpriv', '--bounding-set', bound, '--inh-caps', '-all'];
    const agent = await startAgent(t, environment, undefined, within);
    const monitor = await startMonitor(t);
    await container(`d=$(losetup -f --show ${image}); losetup -d $d`);
    await monitor.catchUp();
    assert.deepEqual(monitor.loopEvents(), []);
    await agent.settle();
    const metrics = await agent.metrics();
    assert.equal(metrics.get('loopwarden_ready'), 1);
    assert.ok([...metrics.keys()].some((name) => name.startsWith('loopwarden_program_missed_total{')));
    await agent.stop();
  }
});
