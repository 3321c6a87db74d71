/** loopfs with the kernel's own devices, in this process, and containers as it finds them: unprivileged, in namespaces. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { configSchema } from '../../src/config/schema.js';
import { loadLoopfsModule } from '../../src/loopfs/native.js';
import type { Placement } from '../../src/loopfs/placement.js';
import { type LoopfsProcess, startLoopfs } from '../../src/loopfs-process.js';
import { defer } from './defer.js';
import { command, host, type Outcome } from './shell.js';
import { tempFolder } from './temp-folder.js';
import { eventually } from './wait.js';

export const CONTAINER_ID = 100_000;

export interface LoopfsFolder {
  folder: string;
  /** Keys of `loopfs` in the config. */
  config: Record<string, unknown>;
}

/** Folder and numbers for processes that follow each other. */
export function loopfsFolder(
  t: TestContext,
  first: number,
  more: Record<string, unknown> = {},
): LoopfsFolder {
  const folder = tempFolder(t);
  chmodSync(folder, 0o755);
  // Whatever a failed test has left.
  defer(t, () => removeLoops(first, first + 999));
  const config = {
    socket: join(folder, 'loopfs.sock'),
    folder: join(folder, 'state'),
    first_number: first,
    needs_agent: false,
    ...more,
  };
  return { folder, config };
}

/** After the test every instance is ended. */
export async function startTestLoopfs(
  t: TestContext,
  { folder, config }: LoopfsFolder,
): Promise<LoopfsProcess> {
  const sections = Object.keys(configSchema.shape).map((key) => [key, {}]);
  const parsed = configSchema.parse({ ...Object.fromEntries(sections), loopfs: config });
  const loopfs = await startLoopfs(
    parsed,
    pino({ level: process.env.LOOPFS_TEST_LOG ?? 'silent' }, pino.destination(2)),
    { placement: createFolderPlacement(folder) },
  );
  defer(t, async () => {
    try {
      // One whose mount has just gone may end by itself meanwhile.
      for (const { name } of loopfs.registry.list()) await loopfs.registry.detach(name).catch(() => {});
      await eventually('everything is reaped', () => loopfs.registry.list().length === 0);
    } finally {
      await loopfs.stop();
    }
  });
  return loopfs;
}

/** Places an instance on a folder of the host that containers take for their /dev. */
function createFolderPlacement(folder: string): Placement {
  const module = loadLoopfsModule();
  return {
    async place({ name, mountFd }) {
      const mountPoint = join(folder, name, 'dev/loopfs');
      await command('umount', ['-l', mountPoint]);
      module.attachMount(mountFd, mountPoint);
    },
    async onNode(name, node, present) {
      const link = join(folder, name, 'dev', node);
      rmSync(link, { force: true });
      if (present) symlinkSync(`loopfs/${node}`, link);
    },
    async unplace(name) {
      await command('umount', ['-l', join(folder, name, 'dev/loopfs')]);
    },
    release() {},
    close() {},
  };
}

export interface TestContainer {
  name: string;
  /** Where the host sees its instance. */
  mountPoint: string;
  /** A file that its root may write; made with that size. */
  image(sizeBytes: number): string;
  /** A shell script as its root. */
  run(script: string): Promise<string>;
  attempt(script: string): Promise<Outcome>;
  /** Starts a script that goes on. */
  start(script: string): ChildProcess;
}

/** An instance, and a way to run commands where it is in /dev, as an unprivileged user of the host. */
export async function openTestContainer(
  t: TestContext,
  loopfs: LoopfsProcess,
  { folder }: LoopfsFolder,
  name: string,
  max = 64,
  pid = process.pid,
): Promise<TestContainer> {
  const home = join(folder, name);
  const dev = join(home, 'dev');
  const mountPoint = join(dev, 'loopfs');
  mkdirSync(mountPoint, { recursive: true });
  for (const each of [home, dev, mountPoint]) chmodSync(each, 0o755);
  await host(
    `cd ${dev}; mknod -m 666 null c 1 3; mknod -m 666 zero c 1 5; mknod -m 666 urandom c 1 9; ln -s /proc/self/fd fd`,
  );
  symlinkSync('loopfs/loop-control', join(dev, 'loop-control'));
  loopfs.registry.create({ name, max, uidBase: CONTAINER_ID, gidBase: CONTAINER_ID });
  await loopfs.registry.attach(name, pid);
  defer(t, () => command('umount', ['-l', mountPoint]));
  let images = 0;
  const argumentsOf = (script: string): string[] => [
    `--reuid=${CONTAINER_ID}`,
    `--regid=${CONTAINER_ID}`,
    '--clear-groups',
    ...['unshare', '-Ur', '-m', 'sh', '-ec', `mount --rbind ${dev} /dev; ${script}`],
  ];
  return {
    name,
    mountPoint,
    image(sizeBytes) {
      const path = join(home, `image${images++}`);
      writeFileSync(path, '');
      truncateSync(path, sizeBytes);
      chownSync(path, CONTAINER_ID, CONTAINER_ID);
      return path;
    },
    async run(script) {
      const outcome = await command('setpriv', argumentsOf(script));
      if (outcome.code !== 0) throw new Error(`${script}: exit ${outcome.code}: ${outcome.stderr}`);
      return outcome.stdout.trim();
    },
    attempt: (script) => command('setpriv', argumentsOf(script)),
    start: (script) => spawn('setpriv', argumentsOf(script), { stdio: ['pipe', 'pipe', 'inherit'] }),
  };
}

/** The host's loop devices with these numbers. */
export async function loopsBetween(first: number, last: number): Promise<number[]> {
  const names = await host("find /sys/block -maxdepth 1 -name 'loop*' -printf '%f\\n'");
  return names
    .split('\n')
    .map((name) => Number(name.slice(4)))
    .filter((number) => number >= first && number <= last)
    .sort((a, b) => a - b);
}

export async function removeLoops(first: number, last: number): Promise<void> {
  const module = loadLoopfsModule();
  for (const number of await loopsBetween(first, last)) {
    await module.clearLoop(7, number);
    await eventually(`loop${number} is removed`, async () => {
      return (await module.callLoopControl(0x4c81, number)) !== -16;
    });
  }
}
