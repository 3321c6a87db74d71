/** loopfs under the agent: restarted when it ends, stopped with it, and left alone when the agent is killed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { createControlClient } from '../../src/web/control-client.js';
import {
  type AgentEnvironment,
  type AgentProcess,
  agentEnvironment,
  startAgent,
} from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { removeLoops } from '../support/loopfs.js';
import { host } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const FIRST = 38_000;
const FOUND_MS = 30_000;

before(() => void execFileSync('bash', [join(PACKAGE_ROOT, 'scripts/build-ts.sh')], { stdio: 'ignore' }));

interface Supervised {
  environment: AgentEnvironment;
  /** Of every process that serves this test's socket. */
  pids(): number[];
  instances(): Promise<{ name: string }[]>;
  create(name: string): Promise<unknown>;
  /** Resolves with the process that answers. */
  answers(agent: AgentProcess): Promise<number>;
}

function supervised(t: TestContext): Supervised {
  const folder = tempFolder(t);
  const socket = join(folder, 'loopfs.sock');
  defer(t, () => removeLoops(FIRST, FIRST + 99));
  const pids = (): number[] =>
    readdirSync('/proc')
      .map(Number)
      .filter((pid) => {
        try {
          const isServe = readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0loopfs\0serve\0');
          return isServe && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`=${socket}\0`);
        } catch {
          return false;
        }
      });
  defer(t, () => {
    for (const pid of pids()) process.kill(pid, 'SIGKILL');
  });
  const client = createControlClient(socket, 'ERR_LOOPFS_NOT_RUNNING');
  const environment = agentEnvironment(t, {
    LOOPWARDEN_LOOPFS_SERVE: 'true',
    LOOPWARDEN_LOOPFS_SOCKET: socket,
    LOOPWARDEN_LOOPFS_FOLDER: join(folder, 'state'),
    LOOPWARDEN_LOOPFS_FIRST_NUMBER: String(FIRST),
  });
  const instances = () => client.request('GET', '/api/v1/instances') as Promise<{ name: string }[]>;
  return {
    environment,
    pids,
    instances,
    create: (name) => client.request('POST', '/api/v1/instances', { name }),
    async answers(agent) {
      await eventually(
        'loopfs answers',
        async () => (await agent.metrics()).get('loopwarden_loopfs_up') === 1,
        FOUND_MS,
      );
      await instances();
      const [pid = 0, ...more] = pids();
      assert.deepEqual(more, []);
      return pid;
    },
  };
}

test('the agent serves loopfs in a session of its own, again after a kill, and no longer than itself', async (t) => {
  const loopfs = supervised(t);
  const agent = await startAgent(t, loopfs.environment);
  const first = await loopfs.answers(agent);
  assert.equal(await host(`ps -o sid= -p ${first} | tr -d ' '`), String(first));
  assert.equal(await host(`ps -o ppid= -p ${first} | tr -d ' '`), String(agent.pid));
  await loopfs.create('kept');
  process.kill(first, 'SIGKILL');
  await eventually('it has gone', () => !loopfs.pids().includes(first));
  const second = await loopfs.answers(agent);
  assert.notEqual(second, first);
  assert.deepEqual(
    (await loopfs.instances()).map(({ name }) => name),
    ['kept'],
  );
  assert.match(agent.log(), /"signal":"SIGKILL".*loopfs ended/);
  assert.equal(await agent.stop(), 0);
  assert.deepEqual(loopfs.pids(), []);
});

test('a kill of the agent leaves it; the next agent starts no second one, and takes its place when it goes', async (t) => {
  const loopfs = supervised(t);
  const first = await startAgent(t, loopfs.environment);
  const left = await loopfs.answers(first);
  await first.stop('SIGKILL');
  assert.deepEqual(loopfs.pids(), [left]);
  const second = await startAgent(t, loopfs.environment);
  assert.equal(await loopfs.answers(second), left);
  assert.match(second.log(), /loopfs is served already/);
  process.kill(left, 'SIGKILL');
  await eventually('it has gone', () => !loopfs.pids().includes(left));
  assert.notEqual(await loopfs.answers(second), left);
  assert.equal(await second.stop(), 0);
  assert.deepEqual(loopfs.pids(), []);
});
