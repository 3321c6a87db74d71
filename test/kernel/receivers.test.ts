/** Who is on the allow-list hears of a container's devices, as long as it is who it was; doctor says who, what and why. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type AgentProcess, agentEnvironment, startAgent } from '../support/agent-process.js';
import { makeCgroup } from '../support/cgroup.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { type PlainReceiver, startReceiver, startReceiverBy } from '../support/receiver.js';
import { container, host, openContainer } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const allowing = (t: TestContext, ...rules: string[]): Promise<AgentProcess> =>
  startAgent(t, agentEnvironment(t, { LOOPWARDEN_RECEIVERS_ALLOW: rules.join(',') }));

// biome-ignore lint/suspicious/noExplicitAny: as the API answers
async function seenAs(agent: AgentProcess, { pid }: { pid: number }): Promise<any> {
  return (await agent.ask('receivers')).find((each: { pid: number }) => each.pid === pid);
}

/** Shell words that enter a cgroup and run a Python in it. */
const within = (folder: string, python = 'python3'): string[] => [
  'sh',
  '-c',
  'echo $$ > "$0/cgroup.procs"; exec "$@"',
  folder,
  python,
];

/** What each has heard of a device that a container makes its own and lets go. */
async function hearing(t: TestContext, ...receivers: PlainReceiver[]): Promise<number[]> {
  const image = tempImage(t);
  const before = receivers.map((each) => each.loopEvents());
  await container(`d=$(losetup -f --show ${image}); losetup -d $d`);
  for (const each of receivers) await each.catchUp();
  return receivers.map((each, at) => each.loopEvents() - (before[at] ?? 0));
}

test('a unit, a cgroup and a user namespace on the list hear everything, and others of their kind nothing', async (t) => {
  const unit = makeCgroup(t, '/system.slice/lw-listed.service');
  const group = makeCgroup(t, '/lw-listed/below');
  const other = makeCgroup(t, '/system.slice/lw-other.service');
  const [box, stranger] = [await openContainer(), await openContainer()];
  defer(t, () => box.leave());
  defer(t, () => stranger.leave());
  const inum = await host(`stat -L -c %i /proc/${box.pid}/ns/user`);
  const rules = ['unit:lw-listed.service', 'cgroup:/lw-listed', `userns:${inum}`];
  const early = await startReceiverBy(t, within(unit.folder));
  const agent = await allowing(t, ...rules);
  const listed = [early, await startReceiverBy(t, within(group.folder)), await startReceiver(t, box.pid)];
  const unlisted = [
    await startReceiverBy(t, within(other.folder)),
    await startReceiver(t, stranger.pid),
    await startReceiver(t),
  ];

  for (const [at, each] of listed.entries()) {
    const { class: kind, gets, rule, why } = await seenAs(agent, each);
    assert.deepEqual([kind, gets, rule], ['allowed', 'everything', rules[at]]);
    assert.match(why, /receivers\.allow/);
  }
  for (const each of unlisted) {
    const { class: kind, rule } = await seenAs(agent, each);
    assert.deepEqual([kind, rule], ['filtered', null]);
  }
  const heard = await hearing(t, ...listed, ...unlisted);
  for (const count of heard.slice(0, 3)) assert.ok(count >= 2, `${heard}`);
  assert.deepEqual(heard.slice(3), [0, 0, 0]);

  const { place } = await seenAs(agent, early);
  assert.deepEqual([place.runtime, place.unit], ['systemd', 'lw-listed.service']);
  const { stdout } = await agent.cli('doctor');
  assert.match(stdout, /^ {2}LISTENER +WHERE +GETS +WHY$/m);
  assert.match(
    stdout,
    new RegExp(`python3?\\S*\\[${early.pid}\\] +lw-listed.service +everything +.*unit:lw-listed`, 'm'),
  );
});

/** It listens, and when a line comes it, or a child that shares its socket, becomes another program. */
const turning = (how: 'exec' | 'share'): string => `
import os, socket, sys
s = socket.socket(16, socket.SOCK_RAW, 15)
s.bind((0, 1))
s.set_inheritable(True)
print("ready", flush=True)
child = os.fork() if ${how === 'share' ? 'True' : 'False'} else 0
if child == 0:
    sys.stdin.readline()
    os.execv("/usr/bin/python3", ["python3", "-c", "import sys; sys.stdin.read()"])
os.waitpid(child, 0)
`;

for (const how of ['exec', 'share'] as const)
  test(`is off the list when somebody else has the socket: ${how}`, async (t) => {
    const listed = join(tempFolder(t), 'listed');
    copyFileSync(await host('readlink -f /usr/bin/python3'), listed);
    const agent = await allowing(t, listed);
    const child = spawn(listed, ['-c', turning(how)], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    defer(t, async () => {
      child.stdin.destroy();
      child.kill('SIGKILL');
      await ended;
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const who = { pid: child.pid ?? 0 };
    const { class: kind, rule } = await seenAs(agent, who);
    assert.deepEqual([kind, rule], ['allowed', listed]);
    child.stdin.write('\n');
    const after = await eventually('it has turned', async () => {
      const now = await seenAs(agent, who);
      return now.class !== 'allowed' && now;
    });
    assert.deepEqual([after.class, after.gets, after.rule], ['filtered', 'host', null]);
    child.stdin.end();
    if (how === 'share') await ended;
  });

test('a new listener is on the list at once, without a search that somebody asked for', async (t) => {
  const group = makeCgroup(t, '/lw-listed');
  const environment = agentEnvironment(t, {
    LOOPWARDEN_RECEIVERS_ALLOW: 'cgroup:/lw-listed',
    LOOPWARDEN_RECEIVERS_SCAN_INTERVAL_MS: '3600000',
  });
  await startAgent(t, environment);
  const receiver = await startReceiverBy(t, within(group.folder));
  await eventually('it hears of a container’s device', async () => {
    const [heard = 0] = await hearing(t, receiver);
    return heard >= 2;
  });
});
