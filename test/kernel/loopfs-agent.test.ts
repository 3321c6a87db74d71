/** With an agent, a container's device is the container's from its first moment; without one none is made. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { startAgent } from '../support/agent-process.js';
import { startLoopfsHost } from '../support/loopfs-serve.js';
import { startPlacedContainer } from '../support/placed-container.js';
import { startReceiver } from '../support/receiver.js';
import { host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

const FIRST = 23_000;

test('no receiver of the host hears of a device in an instance, from its making to its removal', async (t) => {
  const agent = await startAgent(t);
  const settings = {
    LOOPWARDEN_LOOPFS_NEEDS_AGENT: 'true',
    LOOPWARDEN_API_SOCKET: agent.env.LOOPWARDEN_API_SOCKET ?? '',
  };
  const serving = await startLoopfsHost(t, FIRST, settings);
  const receiver = await startReceiver(t);
  await agent.ask('receivers');
  const container = await startPlacedContainer(t, serving, 'one');
  const image = container.image(1 << 20);
  const device = await container.run(`losetup -f --show ${image}`);
  assert.equal(device, `/dev/loop${FIRST}`);
  const { owner } = await agent.ask(`devices/loop${FIRST}`);
  assert.equal(owner.class, 'userns');
  await container.run(`losetup -d ${device}; rm /dev/loopfs/loop${FIRST}`);
  await receiver.catchUp();
  assert.equal(receiver.loopEvents(), 0);

  await agent.settle();
  const lines = agent.audit().filter((line) => line.device?.name === `loop${FIRST}`);
  const added = lines.find(({ command }) => command === 'LOOP_CTL_ADD');
  const configured = lines.find(({ command }) => command === 'LOOP_CONFIGURE');
  assert.equal(added?.result, 'ok');
  assert.equal(added?.caller.pid, agent.pid);
  assert.equal(added?.owner.after, configured?.caller.userns.id);
  assert.ok(
    lines.filter(({ kind }) => kind === 'uevent').every(({ verdict }) => verdict === 'hide'),
    'every uevent of the device is hidden',
  );

  // The host's own are heard of as ever, also when the same process makes them.
  const own = await host('losetup -f');
  await host(`truncate -s 1M ${image}; losetup ${own} ${image}; losetup -d ${own}`);
  await eventually('the host hears of its own', async () => {
    await receiver.catchUp();
    return receiver.loopEvents() >= 2;
  });

  assert.equal(await agent.stop(), 0);
  assert.equal((await container.try('losetup -f')).code, 1);
  assert.equal(await container.run('ls /dev/loopfs'), 'loop-control');
  assert.ok(!existsSync(`/sys/block/loop${FIRST + 1}`));
});
