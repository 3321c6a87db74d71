/** With hide.scope: container, a rootful container would be another, or the host, by namespaces that it can make. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quoted } from '../support/attacker.js';
import { ioctls, LOOP_CTL_ADD, LOOP_CTL_REMOVE } from '../support/ioctl.js';
import { type PlainReceiver, startReceiverBy } from '../support/receiver.js';
import { openRootfulContainer } from '../support/rootful-container.js';
import { setStage } from '../support/stage.js';

const SCOPE = { env: { LOOPWARDEN_HIDE_SCOPE: 'container' } };
const NUMBER = 35_001;
const MAKE_AND_REMOVE = ioctls(
  '/dev/loop-control',
  [LOOP_CTL_ADD, LOOP_CTL_REMOVE].map((request) => [request, NUMBER] as const),
);
/** Two of the disk, two of its bdi. */
const EVENTS = 4;

const heardOf = (receiver: PlainReceiver): number =>
  receiver.heard().filter((event) => event.endsWith(String(NUMBER))).length;

/** What it may put around its losetup without having been given anything of the host's. */
const WRAPPINGS = {
  'a mount namespace of its own': 'unshare -m',
  'a pid namespace of its own': 'unshare -p -f',
  both: 'unshare -m -p -f --mount-proc',
  'network, IPC, UTS and cgroup namespaces': 'unshare -n -i -u -C',
  'another name of its process': 'bash -c \'exec -a systemd-udevd "$@"\' x',
};

test('its device stays its own, whatever namespaces it makes', async (t) => {
  const stage = await setStage(t, SCOPE);
  stage.device(NUMBER);
  const [attacker, victim] = [await openRootfulContainer(t), await openRootfulContainer(t)];
  const victims = await startReceiverBy(t, [...victim.enter, 'python3']);
  const own = await startReceiverBy(t, [...attacker.enter, 'python3']);
  await stage.agent.ask('receivers');
  for (const [name, wrapping] of Object.entries(WRAPPINGS)) {
    const before = heardOf(own);
    await attacker.run(`act=${quoted(MAKE_AND_REMOVE)}; exec ${wrapping} sh -ec "$act"`);
    for (const each of [own, victims]) await each.catchUp();
    assert.equal(heardOf(own) - before, EVENTS, `${name}: it hears of its own`);
    assert.equal(heardOf(victims), 0, name);
    assert.deepEqual(await stage.hostHears(), [], name);
  }
});

test('a listener that it makes elsewhere hears nothing of others', async (t) => {
  const stage = await setStage(t, SCOPE);
  stage.device(NUMBER);
  const [attacker, victim] = [await openRootfulContainer(t), await openRootfulContainer(t)];
  const listeners = [];
  for (const wrapping of ['unshare -m', 'unshare -p -f', 'unshare -Ur', 'unshare -Ur -m -p -f'])
    listeners.push(await startReceiverBy(t, [...attacker.enter, ...wrapping.split(' '), 'python3']));
  await stage.agent.ask('receivers');
  await victim.run(MAKE_AND_REMOVE);
  for (const each of listeners) {
    await each.catchUp();
    assert.equal(heardOf(each), 0);
  }
  assert.deepEqual(await stage.hostHears(), []);
});
