/** Devices of dead user namespaces are reaped as the config says; what is in use never is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { attack, startAttacker } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { loadModule } from '../support/kernel-module.js';
import { startMonitor } from '../support/monitor.js';
import {
  FIRST,
  HOLD,
  isBound,
  isThere,
  loopDevice,
  orphans,
  outlast,
  reaps,
  startReaper,
} from '../support/orphans.js';
import { host, openContainer } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const MANY = 50;

test('a container that is killed while it holds 50 devices leaves none, and a line for each', async (t) => {
  const paths = Array.from({ length: MANY }, (_, at) => loopDevice(t, FIRST + at));
  const image = tempImage(t);
  const agent = await startReaper(t, 'detach-and-remove');
  const monitor = await startMonitor(t);
  const box = startAttacker(t, HOLD, image, FIRST, MANY);
  assert.equal(await box.says(), MANY);
  await outlast(t);
  assert.ok(paths.every(isBound), 'nothing of a living container is reaped');
  await eventually('the witness has gone, too', async () => (await orphans(agent)) === 0);

  await box.kill();
  // And the witness.
  await eventually('each is told of', async () => (await reaps(agent, 'removed')) === MANY + 1, 60_000);
  assert.deepEqual([await reaps(agent, 'detached'), paths.filter(isThere)], [MANY + 1, []]);
  await agent.settle();
  const lines = agent.audit().filter(({ kind, rule }) => kind === 'agent' && rule === 'owner_gone');
  const configured = agent
    .audit()
    .find(({ command: name, backing }) => name === 'LOOP_CONFIGURE' && backing.path === image);
  for (const path of paths) {
    const own = lines.filter(({ device: { name } }) => `/dev/${name}` === path);
    assert.deepEqual(
      own.map(({ command: name, result }) => `${name} ${result}`),
      ['reap_detach ok', 'reap_remove ok'],
      path,
    );
    assert.deepEqual([own[0].owner.before, own[0].backing.path], [configured.caller.userns.id, image]);
  }
  // Neither what the container did, nor what the agent did for it.
  await monitor.catchUp();
  const heard = monitor.loopEvents().filter(({ DEVNAME }) => paths.includes(DEVNAME ?? ''));
  assert.deepEqual(heard, []);
});

test('detach leaves the device, and detach-and-remove what the host has made', async (t) => {
  for (const [mode, number, hosts] of [
    ['detach', FIRST, false],
    ['detach-and-remove', FIRST + 1, true],
  ] as const)
    await t.test(mode, async (tt) => {
      const path = loopDevice(tt, number);
      const image = tempImage(tt);
      const agent = await startReaper(tt, mode);
      const add = attack(`os.close(add_device(${number}))`);
      if (hosts) await host(add);
      const box = await openContainer();
      if (!hosts) await box.run(add);
      await box.run(`losetup ${path} ${image}`);
      await box.leave();
      await eventually('it is detached', () => !isBound(path), 30_000);
      await outlast(tt);
      assert.ok(isThere(path));
      assert.equal(await reaps(agent, 'detached'), 2);
      const report = await agent.json('explain', path);
      assert.deepEqual([report.owner.class, report.hidden], hosts ? ['initial', false] : ['userns', true]);
    });
});

test('what the host has open, and what is mounted anywhere, is left as it is until it is let go of', async (t) => {
  const [open, mounted, elsewhere] = [0, 1, 2].map((at) => loopDevice(t, FIRST + at)) as [
    string,
    string,
    string,
  ];
  const images = [tempImage(t), tempImage(t), tempImage(t)];
  // Which ext4 asks for by another name.
  await loadModule('crc32c_generic');
  await loadModule('ext4');
  for (const image of images.slice(1)) await host(`mkfs.ext4 -q -F ${image}`);
  const agent = await startReaper(t, 'detach-and-remove');
  const box = startAttacker(
    t,
    `
enter_new_userns()
held = [add_device(${FIRST} + at) for at in range(3)]
say([configure(device, open_file(path)) for device, path in zip(held, sys.argv[1:])])
wait_for_test()`,
    ...images,
  );
  assert.deepEqual(await box.says(), [0, 0, 0]);
  const folder = tempFolder(t);
  await host(`mount -o ro ${mounted} ${folder}`);
  let isMounted = true;
  defer(t, () => isMounted && host(`umount ${folder}`));
  // In a mount namespace that the agent does not see, and of another user namespace's making.
  const other = startAttacker(
    t,
    `
import subprocess
system_call(SYS_UNSHARE, 0x20000)  # CLONE_NEWNS
subprocess.check_call(["mount", "--make-rprivate", "/"])
subprocess.check_call(["mount", "-o", "ro", sys.argv[1], "/mnt"])
say("mounted")
wait_for_test()`,
    elsewhere,
  );
  assert.equal(await other.says(), 'mounted');
  const reader = startAttacker(
    t,
    'descriptor = os.open(sys.argv[1], os.O_RDONLY)\nsay("open")\nwait_for_test()',
    open,
  );
  assert.equal(await reader.says(), 'open');

  await box.kill();
  await eventually('they are orphans', async () => (await orphans(agent)) === 3);
  await eventually('each was looked at', async () => (await reaps(agent, 'busy')) >= 3, 30_000);
  await outlast(t);
  for (const path of [open, mounted, elsewhere]) {
    assert.ok(isBound(path), path);
    assert.equal((await agent.json('explain', path)).backing.autoclear, false, `${path} stays as it was`);
  }
  assert.equal(await reaps(agent, 'detached'), 1, 'the witness');
  // Told once, not at each look.
  const told = agent
    .log()
    .split('\n')
    .filter((line) => line.includes('cannot be reaped yet'));
  assert.equal(told.length, 3, told.join('\n'));

  await host(`umount ${folder}`);
  isMounted = false;
  await other.kill();
  await reader.kill();
  await eventually('all are gone', () => ![open, mounted, elsewhere].some(isThere), 60_000);
});

test('an agent that is started anew knows the orphans of before, and reaps them', async (t) => {
  const path = loopDevice(t, FIRST);
  const image = tempImage(t);
  const environment = agentEnvironment(t, {
    LOOPWARDEN_REAP_MODE: 'detach-and-remove',
    LOOPWARDEN_REAP_GRACE_SECONDS: '3600',
  });
  const first = await startAgent(t, environment);
  const box = startAttacker(t, HOLD, image, FIRST, 1);
  assert.equal(await box.says(), 1);
  await first.stop();
  await box.kill();
  environment.env.LOOPWARDEN_REAP_GRACE_SECONDS = '1';
  const agent = await startAgent(t, environment);
  await eventually('it is reaped', async () => (await reaps(agent, 'removed')) === 1, 30_000);
  assert.ok(!isThere(path));
});
