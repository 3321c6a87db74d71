/** The attacker's device takes the number of one of the host's, or leaves its own to the host: what was true of one is not of the other. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { attack } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { host, openContainer } from '../support/shell.js';
import { setStage } from '../support/stage.js';

const NUMBER = 35_001;
const ROUNDS = 10;

/** A whole life of the number: made, attached, detached, removed. */
const LIFE = attack(
  `
control = os.open("/dev/loop-control", os.O_RDWR)
device = add_device(${NUMBER})
configure(device, open_file(sys.argv[1]))
ioctl(device, LOOP_CLR_FD)
os.close(device)
assert ioctl(control, LOOP_CTL_REMOVE, ${NUMBER}) in (0, ${NUMBER})`,
  '$IMAGE',
).replace("'$IMAGE'", '"$IMAGE"');

test('a number that passes between a container and the host is each time whose it is then', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const box = await openContainer();
  defer(t, () => box.leave());
  for (let round = 0; round < ROUNDS; round++) {
    await box.run(`export IMAGE=${stage.image}; ${LIFE}`);
    const before = await stage.hostHears();
    await host(`export IMAGE=${stage.image}; ${LIFE}`);
    const heard = (await stage.hostHears()).slice(before.length);
    assert.equal(before.length, round * heard.length, 'only the host’s lives were heard');
    assert.deepEqual(heard.filter((event) => !event.startsWith('change')).sort(), [
      `add 7:${NUMBER}`,
      `add loop${NUMBER}`,
      `remove 7:${NUMBER}`,
      `remove loop${NUMBER}`,
    ]);
    assert.ok(heard.filter((event) => event === `change loop${NUMBER}`).length >= 2);
  }
  const lives = (await stage.ioctls(device)).filter(({ command }) => command === 'LOOP_CONFIGURE');
  assert.deepEqual(
    lives.map(({ caller }) => caller.userns.level),
    Array.from({ length: ROUNDS }, () => [1, 0]).flat(),
  );
  assert.ok(lives.every(({ owner, caller }) => owner.after === caller.userns.id));
  // Before Linux 5.15 a life has no number of its own: its lines follow each other all the same.
  const numbers = new Set(lives.map(({ device: { diskseq } }) => diskseq));
  assert.equal(numbers.size, existsSync('/sys/block/loop0/diskseq') ? 2 * ROUNDS : 1);
});
