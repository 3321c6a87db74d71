/** hide.scope: container, with containers that real OCI runtimes make: all namespaces but the user's, a root and a cgroup of their own. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { startMonitor } from '../support/monitor.js';
import { RUNTIMES, titleOf } from '../support/oci-bundle.js';
import { startReceiver, startReceiverBy } from '../support/receiver.js';
import { ATTACH, type RuntimeContainer, startRuntimeContainer } from '../support/runtime-container.js';
import { host } from '../support/shell.js';
import { startUdevd, udevDatabase } from '../support/udevd.js';

const listenIn = (t: TestContext, { enter }: RuntimeContainer) => startReceiverBy(t, [...enter, 'python3']);

for (const runtime of RUNTIMES)
  test(`${titleOf(runtime)}: a rootful container’s device is its own, hidden from the host and from others, and named`, async (t) => {
    await startUdevd(t);
    const agent = await startAgent(t, agentEnvironment(t, { LOOPWARDEN_HIDE_SCOPE: 'container' }));
    const own = await startRuntimeContainer(t, runtime);
    const other = await startRuntimeContainer(t, runtime);
    const monitor = await startMonitor(t);
    const receivers = {
      own: await listenIn(t, own),
      other: await listenIn(t, other),
      hosts: await startReceiver(t),
    };
    await agent.ask('receivers');
    const database = udevDatabase();

    const device = await own.run(ATTACH);
    await host('udevadm settle');
    await monitor.catchUp();
    for (const each of Object.values(receivers)) await each.catchUp();
    assert.deepEqual(monitor.loopEvents(), []);
    assert.deepEqual(udevDatabase(), database);
    assert.ok(receivers.own.loopEvents() >= 1, 'it hears of its own');
    assert.deepEqual([receivers.other.loopEvents(), receivers.hosts.loopEvents()], [0, 0]);

    const listed = await agent.json('devices', '--owner', 'container');
    assert.deepEqual(
      listed.map(({ name }: { name: string }) => `/dev/${name}`),
      [device],
    );
    const [{ owner, container, hidden }] = listed;
    assert.deepEqual([owner.class, owner.pidns.inum, hidden], ['container', own.pidns, true]);
    assert.deepEqual(
      [container.runtime, container.id, container.cgroup],
      [runtime.name === 'crun' ? 'podman' : 'docker', own.id, own.cgroup],
    );

    await agent.settle();
    const [configure] = agent.audit().filter(({ command }) => command === 'LOOP_CONFIGURE');
    assert.deepEqual(
      [configure.container.id, configure.caller.pidns, configure.caller.userns.level],
      [own.id, own.pidns, 0],
    );

    // The other one's is the other one's.
    const heard = receivers.own.loopEvents();
    await other.run(ATTACH);
    for (const each of Object.values(receivers)) await each.catchUp();
    assert.ok(receivers.other.loopEvents() >= 1);
    assert.deepEqual([receivers.own.loopEvents(), receivers.hosts.loopEvents()], [heard, 0]);
  });
