/** Which user namespaces are dead, and so which devices are orphans. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startAgent } from '../support/agent-process.js';
import { startAttacker } from '../support/attacker.js';
import { tempImage } from '../support/image.js';
import {
  FIRST,
  HOLD,
  isBound,
  isThere,
  loopDevice,
  orphans,
  outlast,
  startReaper,
} from '../support/orphans.js';
import { host } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

test('without reap.mode they stay: hidden, listed and counted', async (t) => {
  const paths = [loopDevice(t, FIRST), loopDevice(t, FIRST + 1)];
  const image = tempImage(t);
  const agent = await startAgent(t);
  const box = startAttacker(t, HOLD, image, FIRST, paths.length);
  assert.equal(await box.says(), paths.length);
  await box.kill();
  await eventually('they are orphans', async () => (await orphans(agent)) === paths.length);
  assert.ok(paths.every(isBound));
  const listed = await agent.json('devices', '--orphans');
  assert.deepEqual(
    listed.map(({ name, hidden, state }: { name: string; hidden: boolean; state: string }) =>
      [`/dev/${name}`, hidden, state].join(),
    ),
    paths.map((path) => `${path},true,bound`),
  );
});

test('a user namespace that something can still get into is no orphan’s', async (t) => {
  const image = tempImage(t);
  const agent = await startReaper(t, 'detach-and-remove');
  const binds = tempFolder(t);
  const byAttacker = (script: string) => async (pid: number) => {
    const keeper = startAttacker(t, `${script}\nsay("kept")\nwait_for_test()`, pid);
    await keeper.says();
    return keeper.kill;
  };
  const keepers: { why: string; keep: (pid: number) => Promise<() => Promise<unknown>> }[] = [
    {
      why: 'an open descriptor of it',
      keep: byAttacker('os.open(f"/proc/{sys.argv[1]}/ns/user", os.O_RDONLY)'),
    },
    {
      why: 'a descriptor on its way through a socket that nobody reads',
      keep: byAttacker(`
import array, socket
here, there = socket.socketpair()
descriptor = os.open(f"/proc/{sys.argv[1]}/ns/user", os.O_RDONLY)
here.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])
os.close(descriptor)`),
    },
    {
      why: 'a bind mount of it',
      async keep(pid) {
        const file = join(binds, 'user');
        await host(`: >${file}; mount --bind /proc/${pid}/ns/user ${file}`);
        return () => host(`umount ${file}`);
      },
    },
    {
      why: 'a bind mount of a network namespace that it owns',
      async keep(pid) {
        const file = join(binds, 'net');
        await host(`: >${file}; mount --bind /proc/${pid}/ns/net ${file}`);
        return () => host(`umount ${file}`);
      },
    },
    {
      why: 'a process in a namespace below it',
      keep: byAttacker('enter_userns_of(int(sys.argv[1]))\nenter_new_userns()'),
    },
  ];
  for (const [at, { why, keep }] of keepers.entries())
    await t.test(why, async (tt) => {
      const number = FIRST + at;
      const path = loopDevice(tt, number);
      const box = startAttacker(
        tt,
        `
enter_new_userns()
system_call(SYS_UNSHARE, 0x40000000)  # CLONE_NEWNET
say(configure(add_device(${number}), open_file(sys.argv[1])))
wait_for_test()`,
        image,
      );
      assert.equal(await box.says(), 0);
      const release = await keep(box.pid);
      await box.kill();
      await outlast(tt);
      assert.equal((await agent.json('explain', path)).orphan, false);
      assert.ok(isBound(path));
      await release();
      await eventually('then it is reaped', () => !isThere(path), 30_000);
    });
});
