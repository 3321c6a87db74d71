/** The loop driver may come after the agent, and may be asked to go while it is there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { command, container, host } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

/** A module, that is; else it is part of the kernel and always there. */
const CAN_GO = existsSync('/sys/module/loop/initstate');
/** Where the virtual machines of the tests have it; elsewhere it is installed. */
const load = (): Promise<string> =>
  host('[ -e /sys/module/loop ] || busybox insmod /run/loop.ko || modprobe loop');

test('waits for a driver that is not there, says so, and hides from the first device on', async (t) => {
  if (!CAN_GO) return attachOnce(t, await startAgent(t));
  await host('busybox rmmod loop');
  defer(t, () => load().then(() => {}));
  const log = join(tempFolder(t), 'stderr');
  const within = ['sh', '-c', `exec "$0" "$@" 2>${log}`];
  const starting = startAgent(t, agentEnvironment(t), undefined, within);
  await eventually(
    'the agent says that it waits',
    () => existsSync(log) && readFileSync(log, 'utf8').includes('waiting for the loop driver'),
  );
  await load();
  await attachOnce(t, await starting);
});

test('a driver that is taken away and comes back is watched as before, or may not go', async (t) => {
  const agent = await startAgent(t);
  const { code } = await command('busybox', ['rmmod', 'loop']);
  assert.equal(code === 0, !existsSync('/sys/module/loop'));
  await load();
  await attachOnce(t, agent);
});

/** A container's device is recorded as the container's. */
async function attachOnce(t: Parameters<typeof tempImage>[0], agent: Awaited<ReturnType<typeof startAgent>>) {
  const image = tempImage(t);
  await container(`d=$(losetup -f --show ${image}); losetup -d $d`);
  await agent.settle();
  const last = agent.audit().findLast(({ command: name }) => name === 'LOOP_CONFIGURE');
  assert.equal(last?.result, 'ok');
  assert.equal(last?.owner.after, last?.caller.userns.id);
}
