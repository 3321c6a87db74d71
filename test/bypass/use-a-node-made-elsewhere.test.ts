/** The attacker uses a device by a node that is not in /dev, as a careless image or host leaves one. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { attack, said } from '../support/attacker.js';
import { container, host } from '../support/shell.js';
import { setStage, told } from '../support/stage.js';
import { tempFolder } from '../support/temp-folder.js';

const NUMBER = 35_001;

/** A block node of loop35001. */
async function makeNode(t: TestContext): Promise<string> {
  const node = join(tempFolder(t), 'harmless.txt');
  const script = `
with open("/sys/module/loop/parameters/max_part") as file: shift = int(file.read()).bit_length()
os.mknod(sys.argv[1], 0o60600, os.makedev(7, ${NUMBER} << shift))`;
  await host(attack(script, node));
  return node;
}

test('a node anywhere leads to the device that it names', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const script = `
os.close(add_device(${NUMBER}))
say([configure(open_file(sys.argv[1]), open_file(sys.argv[2])), userns()])`;
  const [[result, userns]] = said(await container(attack(script, await makeNode(t), stage.image)));
  assert.equal(result, 0);
  const lines = await stage.ioctls(device);
  assert.deepEqual(lines.map(told), [`LOOP_CTL_ADD ok by ${userns}`, `LOOP_CONFIGURE ok by ${userns}`]);
  assert.equal(lines[1].owner.after, lines[1].caller.userns.id);
  assert.deepEqual(await stage.hostHears(), []);
});

test('a device that comes into being because its node is opened is the opener’s', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const [[userns, result]] = said(
    await container(attack('say([userns(), os.close(open_file(sys.argv[1]))])', await makeNode(t))),
  );
  assert.equal(result, null);
  const report = await stage.agent.ask(`devices${device.replace('/dev', '')}`);
  assert.deepEqual([report.owner.class, report.owner.as, report.hidden], ['userns', 'creator', true]);
  assert.equal(report.owner.userns.inum, userns);
  assert.deepEqual(await stage.hostHears(), []);
});
