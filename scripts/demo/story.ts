/** What happens in the recording, with the sentences that go with it. */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { shell } from '../../src/demo/run.js';
import { eventually } from '../../src/demo/wait.js';
import { ioctls, LOOP_CTL_ADD, LOOP_CTL_REMOVE } from '../../test/support/ioctl.js';
import { addPartition, deletePartition } from '../../test/support/partition.js';
import type { Actor, Cast } from './cast.js';

export interface Host {
  cast: Cast;
  caption(text: string): void;
  /** `loopwarden loopfs …` */
  loopfs(...words: string[]): Promise<string>;
  startLoopfs(): Promise<void>;
  stopAgent(): Promise<void>;
  startAgent(): Promise<void>;
  /** A folder for what is not seen. */
  folder: string;
}

/** A container that nobody likes: each of its names tries to steer a terminal, or a page. */
const HOSTILE_COMM = '\u001b[31m<b>mkfs';
const HOSTILE_IMAGE = '"><img src=x onerror=alert(1)>\u202egmi.\u001b]0;hi\u0007ksid';

export async function tellStory(host: Host): Promise<void> {
  const { cast, caption } = host;
  const runner = await cast.docker('ci-runner', 100_000);
  const database = await cast.docker('shop-db', 200_000);
  const pod = await cast.pod({ namespace: 'batch', pod: 'image-builder-7', container: 'build' }, 300_000);
  const guest = await cast.docker('guest', 400_000);
  const machine = await cast.machine('lab', 500_000);

  caption('A host with five containers, its udevd and a monitor that listens. Nothing is attached.');
  await delay(2000);

  caption('The host attaches an image of its own: its udev hears of it as ever.');
  const own = await cast.host(`losetup -f --show ${cast.image('base.img', 256)}`);
  await delay(3000);

  caption('The container shop-db attaches its volume. Its uevents do not reach the host’s udev.');
  const volume = await database.succeed(`losetup -f --show ${database.image('volume.img', 512)}`);
  await delay(2500);

  caption('The container ci-runner builds images: attach, write, detach, again and again.');
  const building = buildImages(runner, 14);
  await delay(4000);

  caption('The pod image-builder-7 has a disk with two partitions. They are hidden, too, and so is its bdi.');
  const disk = await pod.succeed(`losetup -f --show ${pod.image('disk.img', 64)}`);
  await cast.host(addPartition(disk, 1, 2048, 65_536));
  await cast.host(addPartition(disk, 2, 67_584, 32_768));
  await delay(4000);

  caption(
    'The machine lab tries a device that is taken, and to remove one that is in use: EBUSY, on record.',
  );
  const image = machine.image('try.img', 16);
  for (let turn = 0; turn < 3; turn++) {
    await machine.run(`losetup ${volume} ${image}`);
    await machine.run(ioctls('/dev/loop-control', [[LOOP_CTL_REMOVE, Number(volume.slice(9))]]));
    await delay(900);
  }

  caption(
    'The container guest gives its process and its image names that would steer a terminal or a page. They are text.',
  );
  const hostile = await attachHostile(guest, host.folder);
  await delay(4000);

  caption('guest ends, and leaves its device behind: an orphan, still hidden, and listed.');
  await guest.end();
  await delay(7000);

  caption(
    'The machine lab makes a device; then the host attaches an image to it. It is handed over: udev gets its “add”.',
  );
  await machine.run(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, 24]]));
  await delay(2000);
  const handed = cast.image('handed-over.img', 32);
  await cast.host(
    `losetup /dev/loop24 ${handed} || { mknod ${host.folder}/loop24 b 7 24; losetup ${host.folder}/loop24 ${handed}; }`,
  );
  await delay(3500);

  await building;
  await tellLoopfs(host);

  caption('The agent is stopped. The kernel goes on hiding and recording by itself.');
  await host.stopAgent();
  await delay(1500);
  await buildImages(runner, 3);
  await delay(1500);
  caption('The agent is back, and reads out what happened meanwhile: nothing is missing from the log.');
  await host.startAgent();
  await delay(3500);

  caption('Everybody detaches; the host takes the orphan’s device away.');
  await cast.host(deletePartition(disk, 1));
  await cast.host(deletePartition(disk, 2));
  await pod.succeed(`losetup -d ${disk}`);
  await database.succeed(`losetup -d ${volume}`);
  await cast.host(
    `losetup -d ${hostile}; losetup -d ${own}; losetup -d /dev/loop24 || losetup -d ${host.folder}/loop24`,
  );
  await eventually('loop24 is removed', async () => {
    const script = ioctls('/dev/loop-control', [[LOOP_CTL_REMOVE, 24]]);
    return (await cast.host(script)) !== 'EBUSY';
  });
  await delay(3000);
  caption('That was it.');
  await delay(500);
}

async function buildImages(actor: Actor, turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    const image = actor.image(`build-${turn}.img`, 24 + turn);
    await actor.succeed(
      `d=$(losetup -f --show ${image}); echo written | dd of=$d conv=notrunc status=none; losetup -l $d >&2; losetup -d $d`,
    );
    await delay(turn % 5 === 4 ? 1500 : 400);
  }
}

/** The device. */
async function attachHostile(guest: Actor, folder: string): Promise<string> {
  const losetup = join(folder, HOSTILE_COMM.replace('/', ''));
  copyFileSync(await shell('command -v losetup'), losetup);
  await shell(`chmod 755 ${folder} "$LOSETUP"`, { env: { ...process.env, LOSETUP: losetup } });
  const image = guest.image('disk.img', 8);
  const hostile = image.replace('disk.img', HOSTILE_IMAGE.replaceAll('/', ''));
  writeFileSync(hostile, '');
  await shell('truncate -s 8M "$IMAGE"; chown 400000:400000 "$IMAGE"', {
    env: { ...process.env, IMAGE: hostile },
  });
  return guest.succeed(`"${losetup}" -f --show '${hostile}'`);
}

async function tellLoopfs({ cast, caption, loopfs, startLoopfs }: Host): Promise<void> {
  caption('loopfs: a container gets loop devices of its own, without a single device node of the host.');
  await startLoopfs();
  const bare = await cast.bare(
    'builder',
    600_000,
    `mount --make-rprivate / 2>/dev/null || mount --make-rslave /
     mount -t tmpfs -o mode=755 tmpfs /mnt
     for name in null zero urandom fuse; do : > /mnt/$name; mount --bind /dev/$name /mnt/$name; done
     ln -s /proc/self/fd /mnt/fd
     mount --rbind /mnt /dev`,
  );
  await loopfs('create', 'builder', '--max', '2', '--uid-base', '600000');
  await loopfs('attach', 'builder', '--pid', String(bare.pid));
  await delay(1500);
  const images = [0, 1, 2].map((at) => bare.image(`part-${at}.img`, 16));
  for (const image of images.slice(0, 2)) {
    await bare.succeed(`losetup -f --show ${image}`);
    await delay(1200);
  }
  caption('Its quota is two devices: the third one is refused (ENOSPC), and counted.');
  await bare.run(`losetup -f --show ${images[2]}`);
  await delay(3500);
  caption('The instance ends: its devices are detached and removed.');
  await loopfs('detach', 'builder');
  await delay(2000);
}
