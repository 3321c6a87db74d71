/** hide.scope: container. A container without a user namespace of its own owns devices as one with it does. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type AgentEnvironment, agentEnvironment, startAgent } from '../support/agent-process.js';
import { tempImage } from '../support/image.js';
import { startMonitor } from '../support/monitor.js';
import { startReceiver, startReceiverBy } from '../support/receiver.js';
import { openRootfulContainer } from '../support/rootful-container.js';
import { host } from '../support/shell.js';
import { startUdevd, udevDatabase } from '../support/udevd.js';
import { eventually } from '../support/wait.js';

const scoped = (t: TestContext, scope = 'container'): AgentEnvironment =>
  agentEnvironment(t, { LOOPWARDEN_HIDE_SCOPE: scope });

const cycle = (image: string): string => `d=$(losetup -f --show ${image}); losetup -d $d`;
const listenIn = (t: TestContext, { enter }: { enter: readonly string[] }) =>
  startReceiverBy(t, [...enter, 'python3']);
/** As a service with PrivateTmp= or PrivateMounts= has it: a mount namespace of its own, and nothing else. */
const asService = (script: string): Promise<string> => host(`unshare -m sh -ec '${script}'`);

test('hides a rootful container’s devices from the host and from other containers, and shows them to itself', async (t) => {
  await startUdevd(t);
  const image = tempImage(t);
  const agent = await startAgent(t, scoped(t));
  const [own, other] = [await openRootfulContainer(t), await openRootfulContainer(t)];
  const monitor = await startMonitor(t);
  const receivers = {
    own: await listenIn(t, own),
    // As a udevd in it, started by its systemd with PrivateMounts=.
    service: await startReceiverBy(t, [...own.enter, 'unshare', '-m', 'python3']),
    other: await listenIn(t, other),
    hosts: await startReceiver(t),
  };
  await agent.ask('receivers');
  const database = udevDatabase();

  await own.run(cycle(image));
  await host('udevadm settle');
  await monitor.catchUp();
  for (const each of Object.values(receivers)) await each.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);
  assert.deepEqual(udevDatabase(), database);
  assert.ok(receivers.own.loopEvents() >= 2, `its own: ${receivers.own.loopEvents()}`);
  assert.equal(receivers.service.loopEvents(), receivers.own.loopEvents());
  assert.deepEqual([receivers.other.loopEvents(), receivers.hosts.loopEvents()], [0, 0]);

  await agent.settle();
  const [configure] = agent.audit().filter(({ command }) => command === 'LOOP_CONFIGURE');
  assert.equal(configure.caller.userns.level, 0);
  assert.equal(configure.caller.pidns, own.pidns);
  assert.ok(Number.isSafeInteger(configure.owner.after), 'JSON has it exactly');
  const uevents = agent.audit().filter(({ kind, verdict }) => kind === 'uevent' && verdict === 'hide');
  assert.ok(uevents.length >= 2);
  for (const { owner } of uevents) assert.equal(owner.after, configure.owner.after);
});

test('shows the host its own devices, those of its services, and those that a container makes in its place', async (t) => {
  const image = tempImage(t);
  await startAgent(t, scoped(t));
  const hosts = await startReceiver(t);
  const box = await openRootfulContainer(t);
  const heard = async (act: () => Promise<unknown>): Promise<number> => {
    const before = hosts.loopEvents();
    await act();
    await hosts.catchUp();
    return hosts.loopEvents() - before;
  };
  assert.ok((await heard(() => host(cycle(image)))) >= 2);
  assert.ok((await heard(() => asService(cycle(image)))) >= 2);
  // In the host's pid namespace, as --pid=host: that is missed, and docs/rootful.md says so.
  assert.ok((await heard(() => host(`nsenter -t ${box.pid} -m sh -ec '${cycle(image)}'`))) >= 2);
  // From a container, but in the host's mount namespace.
  assert.ok((await heard(() => host(`nsenter -t ${box.pid} -p sh -ec '${cycle(image)}'`))) >= 2);
  assert.equal(await heard(() => box.run(cycle(image))), 0);
});

test('a container inside of another is below it', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t, scoped(t));
  const outer = await openRootfulContainer(t);
  const inner = await openRootfulContainer(t, outer.enter);
  const [above, below] = [await listenIn(t, outer), await listenIn(t, inner)];
  await agent.ask('receivers');
  await inner.run(cycle(image));
  for (const each of [above, below]) await each.catchUp();
  const [heardAbove, heardBelow] = [above.loopEvents(), below.loopEvents()];
  assert.ok(heardAbove >= 2 && heardBelow === heardAbove, `${heardAbove} and ${heardBelow}`);
  await outer.run(cycle(image));
  for (const each of [above, below]) await each.catchUp();
  assert.ok(above.loopEvents() >= heardAbove + 2);
  assert.equal(below.loopEvents(), heardBelow);
});

test('is told of in every output: devices, explain, doctor, metrics; and its end makes an orphan', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t, scoped(t));
  const box = await openRootfulContainer(t);
  const receiver = await listenIn(t, box);
  const device = await box.run(`losetup -f --show ${image}`);
  const report = await agent.json('explain', device);
  assert.deepEqual(
    [report.owner.class, report.owner.as, report.owner.userns, report.hidden, report.orphan],
    ['container', 'holder', null, true, false],
  );
  const { pidns } = report.owner;
  assert.deepEqual([pidns.inum, pidns.level, pidns.alive], [box.pidns, 1, true]);
  assert.match(
    (await agent.cli('explain', device)).stdout,
    /^owner +the rootful container in pid namespace \d+ /m,
  );
  const [listed] = await agent.json('devices', '--owner', 'container');
  assert.equal(`/dev/${listed.name}`, device);
  assert.equal((await agent.json('devices', '--owner', String(box.pidns))).length, 1);
  const seen = (await agent.ask('receivers')).filter(({ gets }: { gets: string }) => gets === 'own');
  assert.equal(seen.length, 1);
  assert.equal(seen[0].container, pidns.id);
  const metrics = await agent.metrics();
  assert.equal(metrics.get('loopwarden_loop_devices{state="bound",owner_class="container"}'), 1);
  assert.match((await agent.cli('policy', 'check')).stdout, /^scope +rootful containers count as owners/m);

  process.kill(receiver.pid, 'SIGKILL');
  await box.end();
  const gone = await eventually('the device is an orphan', async () => {
    const now = await agent.json('explain', device);
    return now.orphan === true && now;
  });
  assert.deepEqual([gone.hidden, gone.owner.pidns.alive], [true, false]);
  const hosts = await startReceiver(t);
  await host(`echo change > /sys/block/${device.slice(5)}/uevent`);
  await hosts.catchUp();
  assert.equal(hosts.loopEvents(), 0);
});

test('outlives its agent; the next one knows listeners that are older; with the scope userns all is shown again', async (t) => {
  const image = tempImage(t);
  const [own, other] = [await openRootfulContainer(t), await openRootfulContainer(t)];
  // Older than any agent.
  const receivers = [await listenIn(t, own), await listenIn(t, other), await startReceiver(t)];
  const heard = async (): Promise<number[]> => {
    const before = receivers.map((each) => each.loopEvents());
    await own.run(cycle(image));
    for (const each of receivers) await each.catchUp();
    return receivers.map((each, at) => each.loopEvents() - (before[at] ?? 0));
  };
  const isHidden = ([itself = 0, ...others]: number[]): void => {
    assert.ok(itself >= 2, `the container hears of its own: ${itself}`);
    assert.deepEqual(others, [0, 0]);
  };
  const environment = scoped(t);
  const first = await startAgent(t, environment);
  isHidden(await heard());
  await first.stop('SIGKILL');
  isHidden(await heard());
  const next = await startAgent(t, environment);
  isHidden(await heard());
  const left = await own.run(`losetup -f --show ${image}`);
  assert.equal(await next.stop(), 0);

  const hosts = await startMonitor(t);
  const last = await startAgent(t, {
    ...environment,
    env: { ...environment.env, LOOPWARDEN_HIDE_SCOPE: 'userns' },
  });
  for (const count of await heard()) assert.ok(count >= 2);
  // What was owned while the scope was another is the host's now, which is told of it.
  await eventually('the host is told', () =>
    hosts.loopEvents().some(({ DEVNAME, SYNTH_UUID }) => DEVNAME === left && SYNTH_UUID !== undefined),
  );
  const report = await last.json('explain', left);
  assert.deepEqual(
    [report.owner.class, report.hidden, report.verdict.rule],
    ['container', false, 'initial_owner'],
  );
  await own.run(`losetup -d ${left}`);
});
