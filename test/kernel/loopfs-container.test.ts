/** The real loopfs process and real containers with mapped ids: every form of losetup, and every way to end. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ioctls, LOOP_SET_CAPACITY } from '../support/ioctl.js';
import { loopsBetween } from '../support/loopfs.js';
import { startLoopfsHost } from '../support/loopfs-serve.js';
import { startMappedContainer } from '../support/mapped-container.js';
import { addPartition, deletePartition } from '../support/partition.js';
import { type PlacedContainer, startPlacedContainer } from '../support/placed-container.js';
import { command, host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

const FIRST = 21_000;
const lines = (text: string): string[] => text.split('\n').map((line) => line.trim().replace(/\s+/g, ' '));
const loop = (number: number): string => `/dev/loop${FIRST + number}`;

test('every form of losetup works in a container, and a second one sees none of it', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  const two = await startPlacedContainer(t, serving, 'two');
  const image = one.image(8 << 20);
  const [zero, first] = [loop(0), loop(1)];
  const shown = async (columns: string): Promise<string[]> =>
    lines(await one.run(`losetup -n -l -O ${columns}`));

  assert.equal(await one.run('losetup -f'), zero);
  assert.equal(await one.run(`losetup -f --show ${image}`), zero);
  const overlapping = await one.try(`losetup -L -f -o 4M ${image}`);
  assert.match(overlapping.stderr, /overlapping loop device exists/);
  assert.equal(await one.run(`losetup -f --show -o 4M ${image}`), first);
  assert.deepEqual(await shown('NAME,OFFSET,BACK-FILE'), [`${zero} 0 ${image}`, `${first} 4194304 ${image}`]);
  assert.deepEqual(lines(await one.run(`losetup -j ${image} -n -O NAME`)), [zero, first]);
  assert.deepEqual(lines(await one.run('losetup -a | cut -d: -f1')), [zero, first]);
  const json = JSON.parse(await one.run('losetup -J -l')) as { loopdevices: { name: string }[] };
  assert.deepEqual(
    json.loopdevices.map(({ name }) => name),
    [zero, first],
  );
  assert.equal(
    await two.run('losetup -a; losetup -f; ls /dev/loopfs'),
    `${loop(2)}\nloop-control\nloop${FIRST + 2}`,
  );
  await one.run(`losetup -d ${first}`);
  assert.deepEqual(await shown('NAME'), [zero]);
  await one.run('losetup -D');
  assert.equal(await one.run('losetup -a'), '');

  await one.run(`losetup -r -o 1M --sizelimit 64K ${first} ${image}`);
  assert.deepEqual(await shown('NAME,OFFSET,SIZELIMIT,RO'), [`${first} 1048576 65536 1`]);
  assert.equal((await one.try(`dd if=/dev/zero of=${first} count=1`)).code, 1);
  await one.run(`losetup -d ${first}; losetup -b 4096 ${first} ${image}`);
  assert.equal(await one.run(`blockdev --getss ${first}`), '4096');
  await one.run(`losetup -d ${first}; losetup --direct-io=on ${first} ${image}`);
  assert.deepEqual(await shown('NAME,DIO'), [`${first} 1`]);
  assert.equal(await two.run('losetup -a'), '');
});

/** losetup opens the device for reading there, and then the kernel wants CAP_SYS_ADMIN of the host. */
test('losetup -c, and what else changes a device that is set up, is refused as on the host without CAP_SYS_ADMIN', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  const image = one.image(1 << 20);
  const device = await one.run(`losetup -f --show ${image}`);
  const without = ['--bounding-set=-sys_admin', '--inh-caps=-sys_admin', 'sh', '-c'];
  for (const [script, words] of [
    [`losetup -L -f --show ${image}`, /failed to re-use loop device/],
    [`losetup --direct-io=on ${device}`, /set direct io failed: Operation not permitted/],
    [`losetup -c ${device}`, /set capacity failed: Operation not permitted/],
  ] as const) {
    const outcomes = [await one.try(script), await command('setpriv', [...without, script])];
    for (const { code, stderr } of outcomes) {
      assert.equal(code, 1);
      assert.match(stderr, words);
    }
  }
  await one.run(`truncate -s 2M ${image}`);
  assert.equal(await one.run(ioctls(device, [[LOOP_SET_CAPACITY, 0]])), '0');
  assert.equal(await one.run(`blockdev --getsize64 ${device}`), String(2 << 20));
});

test('a file system is made, written to and mounted in a container', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  const image = one.image(16 << 20);
  const out = await one.run(`
    d=$(losetup -f --show ${image})
    mkfs.ext4 -q $d
    blkid -o value -s TYPE $d
    mkdir ${one.home}/mnt
    fuse2fs -o fakeroot $d ${one.home}/mnt
    echo hello > ${one.home}/mnt/file; cat ${one.home}/mnt/file
    umount ${one.home}/mnt
    dd if=/dev/zero of=$d bs=1M count=1 conv=fsync status=none
    losetup -d $d`);
  // fuse2fs lets go of it a moment after umount.
  await eventually('the device is detached', async () => (await one.run('losetup -a')) === '');
  assert.deepEqual(lines(out), ['ext4', 'hello']);
});

test('partitions have names in the container while they are there', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  await one.run(`losetup -f ${one.image(4 << 20)}`);
  await host(addPartition(loop(0), 1, 8, 1024));
  assert.equal(await one.run(`stat -c %F /dev/loopfs/loop${FIRST}p1`), 'block special file');
  const name = `${loop(0)}p1`;
  await eventually('the partition has its name', async () => (await one.try(`test -b ${name}`)).code === 0);
  assert.equal(await one.run(`readlink ${name}`), `loopfs/loop${FIRST}p1`);
  await one.run(`dd if=${name} of=/dev/null status=none`);
  await host(deletePartition(loop(0), 1));
  await eventually('its name goes', async () => (await one.try(`test -L ${name}`)).code === 1);
});

test('the process has no capability but the seven that it uses, and can get none', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const kept = [2, 6, 7, 18, 19, 21, 27].reduce((mask, number) => mask + 2 ** number, 0);
  for (const thread of readdirSync(`/proc/${serving.pid}/task`)) {
    const status = readFileSync(`/proc/${serving.pid}/task/${thread}/status`, 'utf8');
    const fieldOf = (field: string): string | undefined =>
      new RegExp(`^${field}:\\s+(\\w+)$`, 'm').exec(status)?.[1];
    for (const field of ['CapPrm', 'CapEff', 'CapBnd'])
      assert.equal(Number(`0x${fieldOf(field)}`), kept, field);
    for (const field of ['CapInh', 'CapAmb']) assert.equal(Number(`0x${fieldOf(field)}`), 0, field);
    assert.equal(fieldOf('NoNewPrivs'), '1');
  }
});

test('attach says what the device cgroup must allow', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const container = await startMappedContainer(t);
  await serving.ask('create', 'one', '--uid-base', '100000');
  const { code, stdout } = await serving.loopfs('attach', 'one', '--pid', String(container.pid));
  assert.equal(code, 0);
  for (const rule of ['"major":259', "--device-cgroup-rule 'b 7:* rwm'", 'DeviceAllow=block-loop rwm'])
    assert.ok(stdout.includes(rule), stdout);
});

test('whatever of container and process is killed, and when, no device and no mount is left', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const devicesLeft = async (): Promise<boolean> => (await loopsBetween(FIRST, FIRST + 999)).length === 0;
  const use = async (name: string): Promise<PlacedContainer> => {
    const container = await startPlacedContainer(t, serving, name);
    await container.run(`losetup -f ${container.image(1 << 20)}; losetup -f`);
    return container;
  };
  const goes = (what: string): Promise<unknown> =>
    eventually(`after the kill of ${what}`, devicesLeft, 20_000);

  await (await use('first')).stop();
  await goes('the container');
  const second = await use('second');
  await serving.kill();
  await second.stop();
  await serving.start();
  await goes('both');
  const third = await use('third');
  await Promise.all([third.stop(), serving.kill()]);
  await serving.start();
  await goes('both at once');
  assert.deepEqual(await serving.ask('list'), []);
  assert.equal(await host('grep -c loopfs /proc/self/mountinfo || true'), '0');
});

test('a living container has its instance again after the process was killed, with its devices as they were', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  const image = one.image(1 << 20);
  await one.run(`losetup -f ${image}; exec 3<${loop(0)}`);
  for (const end of [serving.kill, serving.stop]) {
    await end();
    assert.match((await one.try('ls /dev/loopfs')).stderr, /not connected/);
    await serving.start();
    assert.equal(await one.run('losetup -n -l -O NAME,BACK-FILE'), `${loop(0)} ${image}`);
    assert.equal(await one.run('grep -c loopfs /proc/self/mountinfo'), '1');
  }
  assert.equal(await one.run('losetup -f'), loop(1));
  await one.run(`losetup ${loop(1)} ${image}; losetup -D`);
});

test('detach takes the instance out of a container that goes on', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  await one.run(`losetup -f ${one.image(1 << 20)}`);
  const { code, stdout } = await serving.loopfs('detach', 'one');
  assert.deepEqual([code, stdout], [0, 'instance one has ended; 1 devices removed\n']);
  assert.equal(
    await one.run('ls /dev; grep -c loopfs /proc/self/mountinfo || true'),
    'fd\nfuse\nnull\nurandom\nzero\n0',
  );
  assert.deepEqual(await loopsBetween(FIRST, FIRST + 999), []);
  await serving.ask('create', 'one', '--uid-base', '100000');
  await serving.ask('attach', 'one', '--pid', String(one.pid));
  assert.equal(await one.run('losetup -f'), loop(1));
});
