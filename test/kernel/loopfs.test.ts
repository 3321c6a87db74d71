/** A container has loop devices of its own, by an unmodified losetup, on this kernel. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ioctls, LOOP_CTL_ADD, LOOP_CTL_GET_FREE, LOOP_CTL_REMOVE } from '../support/ioctl.js';
import { loopfsFolder, loopsBetween, openTestContainer, startTestLoopfs } from '../support/loopfs.js';
import { addPartition, deletePartition } from '../support/partition.js';
import { host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

const lines = (text: string): string[] => text.split('\n').map((line) => line.trim().replace(/\s+/g, ' '));

test('losetup sets up, shows, formats and detaches a device, without any privilege on the host', async (t) => {
  const place = loopfsFolder(t, 20_000);
  const loopfs = await startTestLoopfs(t, place);
  const container = await openTestContainer(t, loopfs, place, 'one');
  const image = container.image(16 << 20);
  const out = await container.run(`
    d=$(losetup -f --show ${image}); echo $d
    losetup -n -l -O NAME,BACK-FILE
    losetup -j ${image} -n -O NAME
    losetup -a | cut -d: -f1
    mkfs.ext4 -q $d
    dd if=$d of=/dev/null bs=1M status=none
    blkid -o value -s TYPE $d
    losetup -d $d
    losetup -n -l | wc -l`);
  const device = '/dev/loop20000';
  assert.deepEqual(lines(out), [device, `${device} ${image}`, device, device, 'ext4', '0']);
});

test('offset, size limit, read-only and a device by name are as on the host', async (t) => {
  const place = loopfsFolder(t, 21_000);
  const loopfs = await startTestLoopfs(t, place);
  const container = await openTestContainer(t, loopfs, place, 'one');
  const image = container.image(4 << 20);
  const out = await container.run(`
    losetup -f
    losetup -o 1048576 --sizelimit 65536 -r -f ${image}
    losetup -n -l -O NAME,OFFSET,SIZELIMIT,RO
    blockdev --getsz /dev/loop21000
    losetup -D
    losetup /dev/loop21000 ${image}
    losetup -n -l -O NAME,OFFSET,SIZELIMIT,RO
    ls /dev/loopfs
    losetup -d /dev/loop21000`);
  assert.deepEqual(lines(out), [
    '/dev/loop21000',
    '/dev/loop21000 1048576 65536 1',
    '128',
    '/dev/loop21000 0 0 0',
    'loop-control',
    'loop21000',
  ]);
});

test('two instances see nothing of each other, and neither can take a device of the other or the host', async (t) => {
  const place = loopfsFolder(t, 22_000);
  const loopfs = await startTestLoopfs(t, place);
  const first = await openTestContainer(t, loopfs, place, 'first');
  const second = await openTestContainer(t, loopfs, place, 'second');
  const image = first.image(1 << 20);
  assert.equal(await first.run(`losetup -f --show ${image}`), '/dev/loop22000');
  assert.equal(await second.run('losetup -n -l | wc -l; ls /dev/loopfs'), '0\nloop-control');
  const answers = await second.run(
    ioctls('/dev/loop-control', [
      [LOOP_CTL_ADD, 22_000],
      [LOOP_CTL_REMOVE, 22_000],
      [LOOP_CTL_ADD, 0],
      [LOOP_CTL_REMOVE, 0],
      [LOOP_CTL_REMOVE, 22_900],
      [LOOP_CTL_ADD, 22_500],
      [LOOP_CTL_ADD, 22_500],
      [LOOP_CTL_REMOVE, 22_500],
      [LOOP_CTL_ADD, 22_500],
      [LOOP_CTL_ADD, 1 << 20],
      [LOOP_CTL_GET_FREE, 0],
      [0x4c99, 0],
    ]),
  );
  assert.deepEqual(lines(answers), [
    ...['EACCES', 'EACCES', 'EACCES', 'EACCES', 'ENODEV'],
    ...['22500', 'EEXIST', '0', 'EACCES', 'EINVAL', '22001', 'ENOTTY'],
  ]);
});

test('unlink removes an unbound device and nothing else; nothing can be made or renamed', async (t) => {
  const place = loopfsFolder(t, 23_000);
  const loopfs = await startTestLoopfs(t, place);
  const container = await openTestContainer(t, loopfs, place, 'one');
  const image = container.image(1 << 20);
  const out = await container.run(`
    cd /dev/loopfs
    losetup -f >/dev/null; rm loop23000; ls
    losetup -f ${image}
    try() { "$@" 2>&1 | sed 's/.*: //'; }
    try rm -f loop23001
    losetup -d loop23001
    try rm -f loop-control; try mv loop-control x; try mkdir d; try ln loop-control l; try ln -s a s
    try touch x; try chmod 666 loop-control; try cat loop-control; try rm loop9; try stat loop023001
    try stat loop0; ls; stat -c '%F %a %u %g' . loop-control loop23001; df . | wc -l`);
  assert.deepEqual(lines(out), [
    'loop-control',
    'Device or resource busy',
    ...Array(7).fill('Operation not permitted'),
    'Invalid argument',
    ...Array(3).fill('No such file or directory'),
    ...['loop-control', 'loop23001'],
    ...['directory 755 0 0', 'regular empty file 600 0 0', 'block special file 660 0 0'],
    '2',
  ]);
  assert.deepEqual(await loopsBetween(23_000, 23_999), [23_001]);
});

test('a partition’s node is there at once, and goes with the partition', async (t) => {
  const place = loopfsFolder(t, 24_000);
  const loopfs = await startTestLoopfs(t, place);
  const container = await openTestContainer(t, loopfs, place, 'one');
  await container.run(`losetup -f ${container.image(4 << 20)}`);
  const list = (): Promise<string> =>
    container.run('cd /dev/loopfs; ls | grep -v control; stat -c %F loop24000p1 2>/dev/null || true');
  await host(addPartition('/dev/loop24000', 1, 8, 1024));
  assert.equal(await list(), 'loop24000\nloop24000p1\nblock special file');
  await container.run('dd if=/dev/loopfs/loop24000p1 of=/dev/null status=none; ! rm /dev/loopfs/loop24000p1');
  await host(deletePartition('/dev/loop24000', 1));
  assert.equal(await list(), 'loop24000');
});

test('64 callers at once in 16 instances get devices of their own, and the limit holds', async (t) => {
  const place = loopfsFolder(t, 25_000);
  const loopfs = await startTestLoopfs(t, place);
  const containers = [];
  for (let at = 0; at < 16; at++)
    containers.push(await openTestContainer(t, loopfs, place, `instance-${at}`, 4));
  const get = ioctls('/dev/loop-control', [[LOOP_CTL_GET_FREE, 0]]);
  const answers = await Promise.all(
    containers.map(async (container) => {
      const image = container.image(1 << 20);
      const loops = `for i in 1 2 3 4; do losetup -f --show ${image} & done; wait; ${get}`;
      return lines(await container.run(loops));
    }),
  );
  const devices = answers.flatMap((each) => each.slice(0, 4));
  assert.equal(new Set(devices).size, 64);
  assert.deepEqual(
    answers.map((each) => each[4]),
    Array(16).fill('ENOSPC'),
  );
  assert.equal((await loopsBetween(25_000, 25_999)).length, 64);
});

test('an instance that is unmounted leaves no device behind', async (t) => {
  const place = loopfsFolder(t, 26_000);
  const loopfs = await startTestLoopfs(t, place);
  const container = await openTestContainer(t, loopfs, place, 'one');
  await container.run('losetup -f');
  await host(`umount -l ${container.mountPoint}`);
  await eventually('everything is removed', () => loopfs.registry.list().length === 0);
  assert.deepEqual(await loopsBetween(26_000, 26_999), []);
});

test('a container that dies with a bound device, which pins its mounts, leaves none behind', async (t) => {
  const place = loopfsFolder(t, 26_500);
  const loopfs = await startTestLoopfs(t, place);
  const first = spawn('cat');
  const container = await openTestContainer(t, loopfs, place, 'one', 4, first.pid);
  await container.run(`losetup -f ${container.image(1 << 20)}`);
  await loopfs.registry.retry();
  assert.equal(loopfs.registry.get('one').state, 'placed');
  const exited = new Promise((resolve) => first.once('exit', resolve));
  first.kill('SIGKILL');
  await exited;
  await loopfs.registry.retry();
  assert.deepEqual([loopfs.registry.list(), await loopsBetween(26_500, 26_999)], [[], []]);
});

test('a hundred thousand names that are not there, and a flood of calls, leave no memory behind', async (t) => {
  const place = loopfsFolder(t, 27_000);
  const loopfs = await startTestLoopfs(t, place);
  const container = await openTestContainer(t, loopfs, place, 'one', 2);
  const flood = (count: number): Promise<string> =>
    container.run(`python3 -c '
import fcntl, os
control = os.open("/dev/loop-control", os.O_RDWR)
for i in range(${count}):
    try: os.stat("/dev/loopfs/%d" % i)
    except OSError: pass
    if i % 20 == 0: fcntl.ioctl(control, 0x4c82)
'`);
  await flood(20_000);
  const before = process.memoryUsage().rss;
  await flood(100_000);
  const grownBytes = process.memoryUsage().rss - before;
  assert.ok(grownBytes < 16 << 20, `grew by ${grownBytes} bytes`);
  assert.ok((await loopsBetween(27_000, 27_999)).length <= 2);
});

test('another instance is served while one is flooded', async (t) => {
  const place = loopfsFolder(t, 28_000);
  const loopfs = await startTestLoopfs(t, place);
  const noisy = await openTestContainer(t, loopfs, place, 'noisy', 2);
  const quiet = await openTestContainer(t, loopfs, place, 'quiet');
  const flood = noisy.start(`floods=; for i in 1 2 3 4; do python3 -c '
import fcntl, os
control = os.open("/dev/loop-control", os.O_RDWR)
print("flooding", flush=True)
while True:
    try: fcntl.ioctl(control, 0x4c82)
    except OSError: pass
' & floods="$floods $!"; done; cat >/dev/null; kill $floods`);
  await new Promise<void>((resolve) => flood.stdout?.once('data', () => resolve()));
  const image = quiet.image(1 << 20);
  const startedMs = performance.now();
  await quiet.run(`for i in 1 2 3 4 5; do losetup -d $(losetup -f --show ${image}); done`);
  const tookMs = performance.now() - startedMs;
  flood.stdin?.end();
  await new Promise((resolve) => flood.once('exit', resolve));
  assert.ok(tookMs < 10_000, `${tookMs} ms`);
});

test('numbers are not given again, also by the next process', async (t) => {
  const place = loopfsFolder(t, 29_000);
  const first = await startTestLoopfs(t, place);
  const container = await openTestContainer(t, first, place, 'one');
  await container.run('losetup -f >/dev/null; rm /dev/loopfs/loop29000');
  await first.registry.detach('one');
  await first.stop();
  const second = await startTestLoopfs(t, place);
  const again = await openTestContainer(t, second, place, 'two');
  assert.equal(await again.run('losetup -f'), '/dev/loop29001');
  assert.match(readFileSync(join(place.folder, 'state/numbers'), 'utf8'), /"next":29002/);
});
