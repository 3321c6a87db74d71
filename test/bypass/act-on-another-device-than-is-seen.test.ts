/** The attacker makes the descriptor of its call lead to something else and back, without pause, so that a look at it sees a decoy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tempImage } from '../support/image.js';
import { ioctls, LOOP_CTL_ADD } from '../support/ioctl.js';
import { container, host } from '../support/shell.js';
import { setStage } from '../support/stage.js';
import { ROOM } from '../support/storm-run.js';
import { buildTool } from '../support/tool.js';

/** The kernel takes a tenth of a second to detach on a last close. */
const ROUNDS = 25;
const [TARGET, DECOY] = [35_001, 35_002];

test('what it attaches is its own and hidden, and the host’s device that it shows instead stays the host’s', async (t) => {
  const program = await buildTool(t, 'swap-descriptor');
  // The tries that fail are many records.
  const stage = await setStage(t, { env: ROOM });
  const [target, decoy] = [stage.device(TARGET), stage.device(DECOY)];
  // Made by the host: nothing but the attachment says whose the target is.
  for (const number of [TARGET, DECOY]) await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, number]]));
  await host(`losetup ${decoy} ${tempImage(t)}`);
  const before = (await stage.hostHears()).length;
  for (const other of ['/dev/null', decoy])
    await container(`${program} ${target} ${other} ${stage.image} ${ROUNDS}`);

  const shown = (await stage.hostHears()).slice(before).filter((event) => event.endsWith(String(TARGET)));
  const logged = (await stage.ioctls(target)).filter(
    ({ command, result }) => command === 'LOOP_SET_FD' && result === 'ok',
  );
  assert.ok(
    logged.every(({ caller, owner }) => caller.userns.level === 1 && owner.after === caller.userns.id),
  );
  t.diagnostic(`${2 * ROUNDS} attachments: ${logged.length} logged as such, ${shown.length} events shown`);
  assert.equal(logged.length, 2 * ROUNDS);
  assert.deepEqual(shown, []);
  const after = await stage.agent.ask(`devices/loop${TARGET}`);
  assert.deepEqual([after.state, after.owner.class], ['unbound', 'initial']);
  assert.equal((await stage.agent.ask(`devices/loop${DECOY}`)).owner.class, 'initial');
  const heard = (await stage.hostHears()).length;
  await host(`echo change >/sys/block/loop${DECOY}/uevent`);
  assert.deepEqual((await stage.hostHears()).slice(heard), [`change loop${DECOY}`]);
});
