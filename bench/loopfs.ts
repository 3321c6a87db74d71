/** What an instance costs its container, and the loopfs process: as root; makes loop devices from 24000 on. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { configSchema } from '../src/config/schema.js';
import type { DeviceBroker } from '../src/loopfs/broker.js';
import { loadLoopfsModule } from '../src/loopfs/native.js';
import type { Placement } from '../src/loopfs/placement.js';
import { type LoopfsProcess, startLoopfs } from '../src/loopfs-process.js';
import { command } from '../test/support/shell.js';

const NODES = 1000;
const INSTANCES = 1000;
const DEVICES_EACH = 4;
const FIRST = 24_000;
const folder = mkdtempSync('/dev/shm/loopwarden-bench-');
const module = loadLoopfsModule();

const onHost: Placement = {
  async place({ name, mountFd }) {
    const path = join(folder, name, 'loopfs');
    mkdirSync(path, { recursive: true });
    module.attachMount(mountFd, path);
  },
  async onNode(name, node, present) {
    const link = join(folder, name, node);
    rmSync(link, { force: true });
    if (present) symlinkSync(`loopfs/${node}`, link);
  },
  async unplace(name) {
    await command('umount', ['-l', join(folder, name, 'loopfs')]);
  },
  release() {},
  close() {},
};

function start(name: string, broker?: DeviceBroker): Promise<LoopfsProcess> {
  const sections = Object.fromEntries(Object.keys(configSchema.shape).map((key) => [key, {}]));
  const loopfs = {
    socket: join(folder, `${name}.sock`),
    folder: join(folder, `${name}-state`),
    first_number: FIRST,
    devices_per_userns: 4096,
    needs_agent: false,
  };
  const options = { placement: onHost, ...(broker ? { broker } : {}) };
  return startLoopfs(
    configSchema.parse({ ...sections, loopfs }),
    pino({ level: 'error' }, pino.destination(2)),
    options,
  );
}

const python = async (script: string, ...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await command('python3', ['-c', script, ...args]);
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
};

async function attach({ registry }: LoopfsProcess, name: string, max: number): Promise<string> {
  registry.create({ name, max, uidBase: 0, gidBase: 0 });
  await registry.attach(name, process.pid);
  return join(folder, name);
}

const TIMES = `
import fcntl, os, sys, time
dev = sys.argv[1]; path = dev + "/loopfs/"; count = int(sys.argv[2])
control = os.open(path + "loop-control", os.O_RDWR)
numbers = [fcntl.ioctl(control, 0x4c80, -1) for _ in range(count)]
def median(body, times):
    took = []
    for at in range(times):
        start = time.perf_counter(); body(at); took.append(time.perf_counter() - start)
    return sorted(took)[times // 2] * 1e6
def missing(at):
    try: os.stat(path + "loop9%06d" % at)
    except OSError: pass
print("lookup of a name that is not there  p50 %.0f us" % median(missing, 2000))
print("lookup and getattr of a node        p50 %.0f us" % median(lambda at: os.stat(path + "loop%d" % numbers[at % count]), count))
handle = os.open(path, os.O_RDONLY)
print("getattr of the folder               p50 %.0f us" % median(lambda at: os.fstat(handle), 2000))
print("readdir of %d nodes               p50 %.1f ms" % (count, median(lambda at: os.listdir(path), 20) / 1e3))
`;

const LOSETUP = `
image=$1; truncate -s 1M $image
for i in 1 2 3 4 5 6 7 8 9 10 11; do
  a=$(date +%s%N); d=$(losetup -f --show $image); b=$(date +%s%N); losetup -d $d; echo $((b - a))
done | sort -n | sed -n 6p`;

/** Median of eleven, in milliseconds. */
async function measureLosetup(dev: string | null): Promise<number> {
  const script = dev === null ? LOSETUP : `mount --rbind ${dev} /dev; ${LOSETUP}`;
  const image = join(tmpdir(), `loopwarden-bench-${process.pid}.img`);
  const { code, stdout, stderr } = await command('unshare', ['-m', 'sh', '-ec', script, 'sh', image]);
  rmSync(image, { force: true });
  if (code !== 0) throw new Error(stderr);
  return Number(stdout) / 1e6;
}

async function measureTimes(): Promise<void> {
  const loopfs = await start('times');
  try {
    console.log(await python(TIMES, await attach(loopfs, 'times', NODES), String(NODES)));
    const dev = await attach(loopfs, 'losetup', 4);
    symlinkSync('loopfs/loop-control', join(dev, 'loop-control'));
    const onHostMs = await measureLosetup(null);
    const insideMs = await measureLosetup(dev);
    const ratio = (insideMs / onHostMs).toFixed(2);
    console.log(
      `losetup -f --show: host ${onHostMs.toFixed(1)} ms, instance ${insideMs.toFixed(1)} ms, ratio ${ratio}`,
    );
  } finally {
    for (const { name } of loopfs.registry.list()) await loopfs.registry.detach(name);
    while (loopfs.registry.list().length > 0) await loopfs.registry.retry();
    await loopfs.stop();
  }
}

/** Devices that only the loopfs process knows: its memory is measured, not the kernel's. */
function createImaginaryBroker(): DeviceBroker {
  const made = new Set<number>();
  return {
    create: async (_owner, number) => void made.add(number),
    remove: async (number) => void made.delete(number),
    detach: async () => {},
    exists: (number) => made.has(number),
    isBound: () => false,
  };
}

async function measureMemory(): Promise<void> {
  const loopfs = await start('memory', createImaginaryBroker());
  const before = process.memoryUsage().rss;
  try {
    for (let at = 0; at < INSTANCES; at++) {
      const dev = await attach(loopfs, `i${at}`, DEVICES_EACH);
      const add = `import fcntl, os, sys
control = os.open(sys.argv[1], os.O_RDWR)
for _ in range(${DEVICES_EACH}): fcntl.ioctl(control, 0x4c80, -1)`;
      await python(add, join(dev, 'loopfs/loop-control'));
    }
    const { rss } = process.memoryUsage();
    const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
    console.log(
      `${INSTANCES} instances with ${DEVICES_EACH} devices: ${mebibytes(rss - before)} MiB more, ${mebibytes(rss)} MiB with this bench`,
    );
  } finally {
    for (const { name } of loopfs.registry.list()) await loopfs.registry.detach(name);
    await loopfs.stop();
  }
}

try {
  await measureTimes();
  await measureMemory();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
