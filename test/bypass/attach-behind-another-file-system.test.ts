/** The attacker's file is on an overlay, or on a FUSE file system that it serves itself, and may not answer. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { fuseServerOf } from '../support/fuse-server.js';
import { loadModule } from '../support/kernel-module.js';
import { command, host } from '../support/shell.js';
import { setStage, told } from '../support/stage.js';
import { tempFolder } from '../support/temp-folder.js';

const NUMBER = 35_001;

const ATTACH = `
enter_new_userns()
say([configure(add_device(${NUMBER}), open_file(sys.argv[1])), userns()])
wait_for_test()
`;

test('a file of an overlay is logged by its path there', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const folder = tempFolder(t);
  await loadModule('overlay');
  await host(`cd ${folder}; mkdir lower upper work merged; truncate -s 1M lower/disk.img
    mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged`);
  const mount = join(folder, 'merged');
  defer(t, () => host(`umount ${mount}`));
  const path = join(mount, 'disk.img');
  const attacker = startAttacker(t, ATTACH, path);
  defer(t, async () => {
    await attacker.kill();
    await command('losetup', ['-d', device]);
  });
  const [result, userns] = await attacker.says();
  assert.equal(result, 0);
  const configure = (await stage.ioctls(device)).find(({ command: name }) => name === 'LOOP_CONFIGURE');
  assert.equal(told(configure), `LOOP_CONFIGURE ok by ${userns}`);
  assert.equal(configure.backing.path, path);
  assert.deepEqual(await stage.hostHears(), []);
});

test('a file of a FUSE server that stands still is logged, and keeps nobody but the attacker waiting', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const [folder, mount] = [tempFolder(t), tempFolder(t)];
  const path = join(mount, 'disk.img');
  await loadModule('fuse');
  await host(`cd ${folder}; truncate -s 16M fs.img; mkfs.ext4 -q fs.img
    fuse2fs -o rw,fakeroot ${folder}/fs.img ${mount}; truncate -s 1M ${path}`);
  defer(t, () => host(`umount ${mount}`));
  const server = Number(await fuseServerOf(folder));
  assert.ok(server > 1);
  const attacker = startAttacker(t, ATTACH, path);
  assert.equal((await attacker.says())[0], 0);
  process.kill(server, 'SIGSTOP');
  defer(t, async () => {
    process.kill(server, 'SIGCONT');
    await attacker.kill();
    await command('losetup', ['-d', device]);
  });
  const configure = (await stage.ioctls(device)).find(({ command: name }) => name === 'LOOP_CONFIGURE');
  assert.equal(configure.backing.path, path);
  const report = await stage.agent.ask(`devices/loop${NUMBER}`);
  assert.deepEqual([report.hidden, report.backing.path], [true, path]);
  assert.deepEqual(await stage.hostHears(), []);
});
