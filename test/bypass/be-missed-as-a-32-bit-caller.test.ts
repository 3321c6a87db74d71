/** The attacker calls by another table of system calls than the one that is watched: i386's, or x32's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attack, said } from '../support/attacker.js';
import { LOOP_CTL_ADD } from '../support/ioctl.js';
import { container } from '../support/shell.js';
import { setStage } from '../support/stage.js';
import { buildTool } from '../support/tool.js';

const LOOP_CONFIGURE = 0x4c0a;

test('what a 32-bit caller does is logged, owned and hidden as anybody’s', async (t) => {
  const program = await buildTool(t, 'compat-ioctl');
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const printed = await container(
    `${program} /dev/loop-control ${LOOP_CTL_ADD} 35001; ${program} ${device} ${LOOP_CONFIGURE} config:${stage.image}`,
  );
  assert.deepEqual(printed.split('\n'), ['35001', '0'], 'this kernel serves 32-bit callers');

  const lines = await stage.ioctls(device);
  assert.deepEqual(
    lines.map(({ command, result, arch }) => [command, result, arch]),
    [
      ['LOOP_CTL_ADD', 'ok', 'i386'],
      ['LOOP_CONFIGURE', 'ok', 'i386'],
    ],
  );
  assert.equal(lines[1].backing.path, stage.image);
  assert.ok(lines.every(({ owner, caller }) => caller.userns.level > 0 && owner.after === caller.userns.id));
  assert.deepEqual(await stage.hostHears(), []);
});

test('what a caller by x32’s table does is refused by the kernel, or logged', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const script = `
control = os.open("/dev/loop-control", os.O_RDWR)
try: say(system_call(0x40000000 + 514, control, LOOP_CTL_ADD, 35001))
except OSError as error: say(errno.errorcode[error.errno])`;
  const [result] = said(await container(attack(script)));
  const logged = (await stage.ioctls(device)).map((line) => `${line.command} ${line.result}`);
  assert.deepEqual(logged, result === 'ENOSYS' ? [] : ['LOOP_CTL_ADD ok']);
  assert.deepEqual(await stage.hostHears(), []);
});
