/** The attacker lets the last close end its device's life, or ends one of the host's: no ioctl says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attack, startAttacker } from '../support/attacker.js';
import { host } from '../support/shell.js';
import { setStage, usernsOf } from '../support/stage.js';
import { eventually } from '../support/wait.js';

const NUMBER = 35_001;

const ATTACH = `
enter_new_userns()
say(configure(add_device(${NUMBER}), open_file(sys.argv[1]), flags=LO_FLAGS_AUTOCLEAR))
wait_for_test()
`;

test('a container’s life that the host’s last close ends is told, and hidden to its end', async (t) => {
  const stage = await setStage(t, { udevd: true });
  const device = stage.device(NUMBER);
  const attacker = startAttacker(t, ATTACH, stage.image);
  assert.equal(await attacker.says(), 0);
  // The host holds it open when the container goes, so that the close is the host's.
  const holder = startAttacker(
    t,
    'say(userns())\nos.open(sys.argv[1], os.O_RDONLY)\nsay(1)\nwait_for_test()',
    device,
  );
  assert.equal(await holder.says(), await usernsOf('self'));
  await holder.says();
  await attacker.kill();
  await holder.kill();
  await host('udevadm settle');
  const [configure] = (await stage.ioctls(device)).filter(({ command }) => command === 'LOOP_CONFIGURE');
  const end = await eventually('the life has ended', async () => {
    await stage.agent.settle();
    return stage.agent
      .audit()
      .find(({ kind, device: of }) => kind === 'life' && of?.name === `loop${NUMBER}`);
  });
  assert.deepEqual(
    [end.command, end.owner.before, end.device.diskseq, end.backing.path],
    ['release', configure.caller.userns.id, configure.device.diskseq, stage.image],
  );
  assert.deepEqual(await stage.hostHears(), []);
});

test('a host’s life that a container’s last close ends is heard by the host', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const keeper = startAttacker(
    t,
    `
device = add_device(${NUMBER})
enter_new_userns()
say(userns())
wait_for_test()`,
  );
  await keeper.says();
  await host(
    attack(
      'say(configure(open_file(sys.argv[1]), open_file(sys.argv[2]), flags=LO_FLAGS_AUTOCLEAR))',
      device,
      stage.image,
    ),
  );
  const before = (await stage.hostHears()).length;
  await keeper.kill();
  await eventually('the host hears of the end', async () => (await stage.hostHears()).length > before);
  assert.ok((await stage.hostHears()).slice(before).every((event) => event === `change loop${NUMBER}`));
  const end = stage.agent
    .audit()
    .find(({ kind, device: of }) => kind === 'life' && of?.name === `loop${NUMBER}`);
  assert.deepEqual([end.owner.before, end.backing.path], [3, stage.image]);
});
