/** Placing an instance into a container, on the running kernel, and what a hostile container can make of it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LoopwardenError } from '../../src/errors.js';
import { loadNative } from '../../src/kernel/native.js';
import { type ContainerPlacement, openContainerPlacement } from '../../src/loopfs/container-placement.js';
import { defer } from '../support/defer.js';
import { makeDetachedMount } from '../support/detached-mount.js';
import { startMappedContainer } from '../support/mapped-container.js';
import { tempFolder } from '../support/temp-folder.js';

const native = loadNative();
const NUMBER = 30_000;
const NODE = `loop${NUMBER}`;

async function placeIn(
  t: TestContext,
  container: { pid: number; rootId: number },
  options: { replace?: boolean } = {},
): Promise<ContainerPlacement> {
  const mount = await makeDetachedMount(t, container.rootId, [NUMBER]);
  try {
    const placement = await openContainerPlacement(native, { pid: container.pid, ...options });
    defer(t, placement.close);
    await placement.mount(mount.fd);
    return placement;
  } finally {
    await mount.close();
  }
}

/** For assert.rejects: the code and words of the table's error. */
function refusal(words: RegExp, code = 'ERR_CONTAINER_DEV'): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof LoopwardenError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, words);
    return true;
  };
}

for (const userns of [true, false]) {
  const kind = userns ? 'a container with mapped ids' : 'a rootful container';

  test(`an instance appears in ${kind}, and goes without a trace`, async (t) => {
    const container = await startMappedContainer(t, { userns });
    const before = await container.run('ls -lan /dev');
    const placement = await placeIn(t, container);
    await placement.addNode(NODE);
    await placement.addNode(NODE);
    await placement.addNode(`${NODE}p1`);
    assert.equal(await container.run('stat -c %u:%g:%a /dev/loopfs/loop-control'), '0:0:600');
    assert.equal(await container.run('stat -Lc %u:%t:%T /dev/loop-control'), '0:a:ed');
    assert.equal(await container.run(`stat -Lc %F /dev/${NODE}`), 'block special file');
    assert.equal(await container.run(`readlink /dev/${NODE}p1`), `loopfs/${NODE}p1`);
    await placement.removeNode(`${NODE}p1`);
    assert.equal((await container.try(`readlink /dev/${NODE}p1`)).code, 1);
    // Nothing of it is on the host.
    assert.ok(!readdirSync('/dev').includes('loopfs'));
    await placement.unplace();
    const strip = (text: string): string => text.replace(/^.* (\.{1,2})$/gm, '');
    assert.equal(strip(await container.run('ls -lan /dev')), strip(before));
    assert.doesNotMatch(await container.run('cat /proc/self/mounts'), /loopfs/);
  });

  test(`no symlink of ${kind} leads out of it`, async (t) => {
    const victim = join(tempFolder(t), 'victim');
    mkdirSync(victim);
    chmodSync(victim, 0o777);
    chmodSync(join(victim, '..'), 0o755);
    writeFileSync(join(victim, 'loop-control'), 'host');
    const untouched = (): void => assert.deepEqual(readdirSync(victim), ['loop-control']);
    const hostile = {
      '/dev/loopfs is a symlink': `ln -s ${victim} /dev/loopfs`,
      '/dev/loopfs is a symlink into /proc': 'ln -s /proc/1/root/tmp /dev/loopfs',
      '/dev/loopfs is a file': 'echo > /dev/loopfs',
      '/dev is a symlink': `mount -t tmpfs tmpfs /mnt; mkdir /mnt/dev; ln -s ${victim} /mnt/dev/loopfs; mount --bind /mnt/dev /dev`,
    };
    for (const [what, script] of Object.entries(hostile)) {
      const container = await startMappedContainer(t, { userns });
      await container.run(script);
      await assert.rejects(placeIn(t, container), refusal(/symlink|file|directory/i), what);
      untouched();
      await container.stop();
    }
    const container = await startMappedContainer(t, { userns });
    await container.run(`ln -s ${victim}/loop-control /dev/loop-control`);
    await assert.rejects(placeIn(t, container), refusal(/node of its own/));
    assert.equal((await container.try('test -e /dev/loopfs')).code, 1, 'nothing is left half done');
    const placement = await placeIn(t, container, { replace: true });
    await container.run(`ln -s ${victim}/${NODE} /dev/${NODE}; mkdir /dev/loop7`);
    await placement.addNode(NODE);
    assert.equal(await container.run(`readlink /dev/${NODE}`), `loopfs/${NODE}`);
    await assert.rejects(placement.addNode('loop7'), refusal(/./));
    await container.run(`rm /dev/${NODE}; ln -s ${victim}/loop-control /dev/${NODE}`);
    await placement.removeNode(NODE);
    assert.equal(
      await container.run(`readlink /dev/${NODE}`),
      `${victim}/loop-control`,
      'what is not ours stays',
    );
    untouched();
    await placement.unplace();
    untouched();
  });
}

test('swapping /dev/loopfs all the time never gets anything placed on the host', async (t) => {
  const victim = tempFolder(t);
  chmodSync(victim, 0o777);
  const container = await startMappedContainer(t, { userns: false });
  const swap = `while :; do ln -sfn ${victim} /dev/x; mv -T /dev/x /dev/loopfs; rm -f /dev/loopfs; mkdir /dev/loopfs; rmdir /dev/loopfs; done`;
  const swapper = spawn('nsenter', ['-t', String(container.pid), '-m', 'sh', '-c', swap], {
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => swapper.once('exit', resolve));
  defer(t, async () => {
    swapper.kill('SIGKILL');
    await ended;
  });
  let placed = 0;
  let refused = 0;
  for (let round = 0; round < 20 || (placed === 0 && round < 200); round++) {
    try {
      await (await placeIn(t, container)).unplace();
      placed++;
    } catch (error) {
      assert.ok(error instanceof LoopwardenError, String(error));
      refused++;
    }
  }
  assert.deepEqual(readdirSync(victim), []);
  assert.ok(placed + refused >= 20);
});

test('a container takes an instance twice only after the first has gone', async (t) => {
  const container = await startMappedContainer(t);
  const first = await placeIn(t, container);
  await assert.rejects(placeIn(t, container), refusal(/something is mounted there/));
  await first.unplace();
  await (await placeIn(t, container)).unplace();
});

test('what the container mounts in its place is left alone', async (t) => {
  const container = await startMappedContainer(t);
  const placement = await placeIn(t, container);
  await container.run('umount /dev/loopfs; mount -t tmpfs mine /dev/loopfs; echo > /dev/loopfs/kept');
  await placement.unplace();
  assert.equal(await container.run('ls /dev/loopfs'), 'kept');
});

test('a read-only /dev is refused in words', async (t) => {
  const container = await startMappedContainer(t);
  await container.run('mount -o remount,bind,ro /dev');
  await assert.rejects(placeIn(t, container), refusal(/its \/dev is read-only/));
});

test('the host itself is no container', async (t) => {
  const attempt = (pid: number): Promise<ContainerPlacement> => placeIn(t, { pid, rootId: 0 });
  await assert.rejects(attempt(process.pid), refusal(/the host's own mount namespace/));
  const sharing = await startMappedContainer(t, { userns: false, prepare: ':' });
  await assert.rejects(attempt(sharing.pid), refusal(/the host's own \/dev/));
  await assert.rejects(attempt(2 ** 22), refusal(/no such file/, 'ERR_NO_CONTAINER'));
  assert.ok(!readdirSync('/dev').includes('loopfs'));
});

test('a pid that means another process by now is refused', async (t) => {
  const { pid } = await startMappedContainer(t);
  assert.throws(() => native.openMountNamespace(pid, 1, 0, 0, '/'), { code: 'ESRCH' });
  assert.throws(() => native.openUeventSender(pid, 1, 0, 0), { code: 'ESRCH' });
});

/** The container's own FUSE server on /dev, which answers nothing, not even the kernel's greeting. */
const SILENT_DEV = `exec python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mount(None, b"/", None, 1 << 18 | 1 << 14, None)
fuse = os.open("/dev/fuse", os.O_RDWR)
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % fuse
if libc.mount(b"silent", b"/dev", b"fuse", 0, options): raise OSError(ctypes.get_errno(), "mount")
print("ready", flush=True)
sys.stdin.read()'`;

test('a container whose file system never answers holds up only itself', async (t) => {
  const silent = await startMappedContainer(t, { userns: false, prepare: SILENT_DEV });
  const stuck = assert.rejects(placeIn(t, silent), refusal(/no answer within/));
  const other = await startMappedContainer(t);
  const placement = await placeIn(t, other);
  await placement.addNode(NODE);
  await placement.unplace();
  await stuck;
});

test('only names of nodes are ever linked', async (t) => {
  const placement = await placeIn(t, await startMappedContainer(t));
  for (const name of ['../etc/passwd', 'loop-control', 'loop', 'loop1p', 'sda', ''])
    await assert.rejects(placement.addNode(name), TypeError);
});

test('the mount goes with the last process of the container', async (t) => {
  const container = await startMappedContainer(t);
  const placement = await placeIn(t, container);
  await container.stop();
  await assert.rejects(placement.addNode(NODE), refusal(/./));
  await assert.rejects(placement.unplace(), refusal(/the process is gone/));
});
