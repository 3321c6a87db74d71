/** A running agent has given its capabilities up, and still does what needs them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LOOPFS_CAPABILITIES } from '../../src/loopfs/capabilities.js';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { tempImage } from '../support/image.js';
import { startMonitor } from '../support/monitor.js';
import { container } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { threadsOf } from '../support/threads.js';

const PTRACE = 1n << 19n;
const SEARCH = 1n << 2n;

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
