/** The attacker rewrites struct loop_config while the kernel reads it, so that the log names another file than is attached. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { attack, said, startAttacker } from '../support/attacker.js';
import { tempImage } from '../support/image.js';
import { container } from '../support/shell.js';
import { setStage, told } from '../support/stage.js';

/** The page with the argument is missing until the test says so: by userfaultfd, which the attacker was given. */
const HELD = `
argument = HeldArgument()
enter_new_userns()
device, taken, named = add_device(int(sys.argv[1])), *map(open_file, sys.argv[2:])
result = argument.ioctl(device, LOOP_CONFIGURE, loop_config(taken))
argument.memory[:304] = loop_config(named)
say({"result": result, "userns": userns()})
`;

/** A process with the same memory writes either descriptor into the argument, over and over, while this one attaches. */
const RACED = `
import signal
files = [*map(open_file, sys.argv[2:])]
page = mmap.mmap(-1, 4096)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
one, other = (struct.pack("I", file) for file in files)
page[:4] = one
rewriter = os.fork()
if rewriter == 0: libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
while rewriter == 0:
    page[:4] = one
    page[:4] = other
seen, rounds = set(), 0
while rounds < 300 or len(seen) < 2:
    # The kernel detaches with the last close.
    device = add_device(int(sys.argv[1]))
    assert ioctl_at(device, LOOP_CONFIGURE, address) == 0
    inode = backing_inode(device)
    say(inode)
    seen.add(inode)
    rounds += 1
    ioctl(device, LOOP_CLR_FD)
    os.close(device)
os.kill(rewriter, signal.SIGKILL)
`;

test('the log names the file that the kernel took, not what the argument says before or after', async (t) => {
  const stage = await setStage(t);
  const named = tempImage(t);
  const device = stage.device(35_001);
  const attacker = startAttacker(t, HELD, 35_001, stage.image, named);
  assert.equal(await attacker.says(), 'held');
  assert.equal((await stage.agent.ask('devices/loop35001')).state, 'unbound');
  attacker.go();
  const { result, userns } = await attacker.says();
  assert.equal(result, 0);

  const configure = (await stage.ioctls(device)).find((line) => line.command === 'LOOP_CONFIGURE');
  assert.equal(told(configure), `LOOP_CONFIGURE ok by ${userns}`);
  assert.equal(configure.backing.path, stage.image);
  assert.equal(configure.owner.after, configure.caller.userns.id);
  assert.deepEqual(await stage.hostHears(), []);
});

test('a process that rewrites the argument without pause makes no line differ from what was attached', async (t) => {
  const stage = await setStage(t);
  const other = tempImage(t);
  const device = stage.device(35_001);
  const attached = said(await container(attack(RACED, 35_001, stage.image, other)));
  const lines = (await stage.ioctls(device)).filter(
    (line) => line.command === 'LOOP_CONFIGURE' && line.result === 'ok',
  );
  const paths = new Map([stage.image, other].map((path) => [statSync(path).ino, path]));
  assert.deepEqual([...new Set(attached)].sort(), [...paths.keys()].sort(), 'the race has both outcomes');
  assert.deepEqual(
    lines.map(({ backing }) => [backing.inode, backing.path]),
    attached.map((inode) => [inode, paths.get(inode)]),
  );
  assert.deepEqual(await stage.hostHears(), []);
});
