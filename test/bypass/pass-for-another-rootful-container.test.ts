/** With hide.scope: container, a rootful container would be another, or the host, by namespaces that it can make. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startReceiverBy } from '../support/receiver.js';
import { openRootfulContainer } from '../support/rootful-container.js';
import { setStage } from '../support/stage.js';

const SCOPE = { env: { LOOPWARDEN_HIDE_SCOPE: 'container' } };
const cycle = (image: string): string => `d=$(losetup -f --show ${image}); losetup -d $d`;

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
  const [attacker, victim] = [await openRootfulContainer(t), await openRootfulContainer(t)];
  const victims = await startReceiverBy(t, [...victim.enter, 'python3']);
  const own = await startReceiverBy(t, [...attacker.enter, 'python3']);
  await stage.agent.ask('receivers');
  for (const [name, wrapping] of Object.entries(WRAPPINGS)) {
    // The host's own device is heard of by all.
    for (const each of [own, victims]) await each.catchUp();
    const [before, victimsBefore] = [own.loopEvents(), victims.heard()];
    await attacker.run(`exec ${wrapping} sh -ec '${cycle(stage.image)}'`);
    await own.catchUp();
    assert.ok(own.loopEvents() > before, `${name}: it hears of its own`);
    await victims.catchUp();
    assert.deepEqual(victims.heard(), victimsBefore, name);
    assert.deepEqual(await stage.hostHears(), [], name);
  }
});

test('a listener that it makes elsewhere hears nothing of others', async (t) => {
  const stage = await setStage(t, SCOPE);
  const [attacker, victim] = [await openRootfulContainer(t), await openRootfulContainer(t)];
  const listeners = [];
  for (const wrapping of ['unshare -m', 'unshare -p -f', 'unshare -Ur', 'unshare -Ur -m -p -f'])
    listeners.push(await startReceiverBy(t, [...attacker.enter, ...wrapping.split(' '), 'python3']));
  await stage.agent.ask('receivers');
  await victim.run(cycle(stage.image));
  for (const each of listeners) {
    await each.catchUp();
    assert.equal(each.loopEvents(), 0);
  }
  assert.deepEqual(await stage.hostHears(), []);
});
