/** The attacker is killed in the middle of the ioctl, so that nothing is logged and its claim to the device stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { ioctls, LOOP_CTL_ADD } from '../support/ioctl.js';
import { host } from '../support/shell.js';
import { setStage, told } from '../support/stage.js';

const NUMBER = 35_001;

/** `end`: what ends it while its call waits. */
const script = (end: string): string => `
argument = HeldArgument()
device = open_file(sys.argv[1])
enter_new_userns()
say(userns())
${end}
argument.ioctl(device, LOOP_CONFIGURE, loop_config(open_file(sys.argv[2])))
`;

const BY_ANOTHER_THREAD = `
import time
def leave():
    while not argument.held: time.sleep(0.001)
    os._exit(0)
threading.Thread(target=leave, daemon=True).start()`;

for (const [how, end] of [
  ['SIGKILL', ''],
  ['exit_group of another thread', BY_ANOTHER_THREAD],
] as const)
  test(`a call that ${how} ends is logged as failed, and leaves no claim`, async (t) => {
    const stage = await setStage(t);
    const device = stage.device(NUMBER);
    await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, NUMBER]]));
    const before = (await stage.hostHears()).length;
    const attacker = startAttacker(t, script(end), device, stage.image);
    const userns = await attacker.says();
    assert.equal(await attacker.says(), 'held');
    if (end === '') await attacker.kill();
    await attacker.ended;

    const line = (await stage.ioctls(device)).at(-1);
    assert.equal(told(line), `LOOP_CONFIGURE EFAULT by ${userns}`);
    assert.deepEqual(line.owner, { before: 3, after: 3 });
    assert.equal(line.caller.pid, attacker.pid);
    // The device is the host's as before, and the host hears all of it.
    await host(`losetup ${device} ${stage.image}; losetup -d ${device}`);
    const heard = (await stage.hostHears()).slice(before);
    assert.ok(heard.length >= 2 && heard.every((event) => event === `change loop${NUMBER}`), heard.join());
    assert.equal((await stage.agent.metrics()).get('loopwarden_records_unaccounted'), 0);
  });
