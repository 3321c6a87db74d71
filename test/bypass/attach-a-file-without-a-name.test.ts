/** The attacker attaches a file that no path leads to: in memory, without a name, or with one that has been removed. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { setStage, told } from '../support/stage.js';
import { tempFolder } from '../support/temp-folder.js';

const NUMBER = 35_001;

const script = (make: string): string => `
folder = sys.argv[1]
enter_new_userns()
${make}
os.ftruncate(file, 1 << 20)
status = os.fstat(file)
say([configure(add_device(${NUMBER}), file), userns(), status.st_ino, f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"])
wait_for_test()
`;

/** `path`: what the log says of it; the kernel's own names for such files have a number or a mark in it. */
const FILES = [
  { name: 'a memfd', make: 'file = os.memfd_create("secrets")', path: () => '/memfd:secrets' },
  {
    name: 'a file that never had a name (O_TMPFILE)',
    make: 'file = os.open(folder, os.O_RDWR | os.O_TMPFILE, 0o600)',
    path: (folder: string, inode: number) => `${folder}/#${inode}`,
  },
  {
    name: 'a removed file',
    make: 'path = folder + "/gone.img"; file = os.open(path, os.O_RDWR | os.O_CREAT); os.unlink(path)',
    path: (folder: string) => join(folder, 'gone.img'),
  },
];

for (const { name, make, path } of FILES)
  test(`${name} is known by its device and inode, and by what it was called`, async (t) => {
    const stage = await setStage(t);
    const device = stage.device(NUMBER);
    const folder = tempFolder(t);
    const attacker = startAttacker(t, script(make), folder);
    const [result, userns, inode, dev] = await attacker.says();
    assert.equal(result, 0);
    const configure = (await stage.ioctls(device)).find(({ command }) => command === 'LOOP_CONFIGURE');
    assert.equal(told(configure), `LOOP_CONFIGURE ok by ${userns}`);
    assert.deepEqual(configure.backing, { dev, inode, path: path(folder, inode) });
    assert.equal(configure.owner.after, configure.caller.userns.id);
    assert.deepEqual(await stage.hostHears(), []);
  });
