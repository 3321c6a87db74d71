/**
 * What instances cost the loopfs process: 1,000 containers, each with an instance of 4 devices. As root; makes loop
 * devices from 40000 on. LOOPFS_BENCH_INSTANCES: another number of them.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { createControlClient } from '../src/web/control-client.js';
import { defer } from '../test/support/defer.js';
import { loopsBetween, removeLoops } from '../test/support/loopfs.js';
import { startLoopfsHost } from '../test/support/loopfs-serve.js';
import { eventually } from '../test/support/wait.js';
import { withScope } from './scope.js';

const INSTANCES = Number(process.env.LOOPFS_BENCH_INSTANCES ?? 1000);
const DEVICES_EACH = 4;
const FIRST = 40_000;
const ROOT = 100_000;

/** Containers with mapped ids and a /dev of their own; each makes its devices when told to. Says their pids. */
const CONTAINERS = `
import ctypes, fcntl, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
def check(result, what):
    if result: raise OSError(ctypes.get_errno(), what)
def contain(to_parent, from_parent):
    check(libc.unshare(0x10000000 | 0x20000), "unshare")
    os.write(to_parent, b"."); os.read(from_parent, 1)
    os.setgroups([]); os.setgid(0); os.setuid(0)
    libc.prctl(1, 9)
    check(libc.mount(None, b"/", None, (1 << 14) | (1 << 19), None), "make private")
    check(libc.mount(b"tmpfs", b"/dev", b"tmpfs", 0, b"mode=755"), "mount /dev")
    os.write(to_parent, b"."); os.read(from_parent, 1)
    control = os.open("/dev/loop-control", os.O_RDWR)
    for _ in range(${DEVICES_EACH}): fcntl.ioctl(control, 0x4c80, -1)
    os.close(control)
    os.write(to_parent, b".")
    signal.pause()
children = []
for _ in range(${INSTANCES}):
    up, down = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try: contain(up[1], down[0])
        finally: os._exit(1)
    os.close(up[1]); os.close(down[0])
    os.read(up[0], 1)
    for name in "uid_map", "gid_map":
        with open("/proc/%d/%s" % (pid, name), "w") as file: file.write("0 ${ROOT} 65536")
    os.write(down[1], b"."); os.read(up[0], 1)
    children.append((up[0], down[1]))
    print(pid, flush=True)
sys.stdin.readline()
for up, down in children:
    os.write(down, b".")
    if not os.read(up, 1): sys.exit("a container ended")
print("made", flush=True)
sys.stdin.readline()
`;

function memoryOf(pid: number): { residentMiB: number; shareMiB: number } {
  const fieldOf = (file: string, field: string): number => {
    const text = readFileSync(`/proc/${pid}/${file}`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024;
  };
  return { residentMiB: fieldOf('status', 'VmRSS'), shareMiB: fieldOf('smaps_rollup', 'Pss') };
}

async function measure(scope: TestContext): Promise<void> {
  const last = FIRST + INSTANCES * DEVICES_EACH - 1;
  defer(scope, () => removeLoops(FIRST, last));
  const serving = await startLoopfsHost(scope, FIRST, { LOOPWARDEN_LOOPFS_DEVICES: '8192' });
  const say = (words: string): void => {
    const { residentMiB, shareMiB } = memoryOf(serving.pid);
    console.log(
      `${words}: resident ${residentMiB.toFixed(0)} MiB, its share (PSS) ${shareMiB.toFixed(0)} MiB`,
    );
  };
  say('no instance');
  const containers = spawn('python3', ['-c', CONTAINERS], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => containers.once('exit', resolve));
  const endContainers = async (): Promise<void> => {
    containers.kill('SIGKILL');
    await ended;
  };
  defer(scope, endContainers);
  const lines = createInterface(containers.stdout)[Symbol.asyncIterator]();
  const client = createControlClient(serving.socket, 'ERR_LOOPFS_NOT_RUNNING', { keep: true });
  for (let at = 0; at < INSTANCES; at++) {
    const pid = Number((await lines.next()).value);
    await client.request('POST', '/api/v1/instances', { name: `i${at}`, max: DEVICES_EACH, uidBase: ROOT });
    await client.request('POST', `/api/v1/instances/i${at}/attach`, { pid });
  }
  say(`${INSTANCES} instances without devices`);
  containers.stdin.write('\n');
  if ((await lines.next()).value !== 'made') throw new Error('not all devices were made');
  say(`${INSTANCES} instances with ${DEVICES_EACH} devices each`);
  await endContainers();
  await eventually('all are gone', async () => (await loopsBetween(FIRST, last)).length === 0, 120_000);
}

console.log(`${new Date().toISOString().slice(0, 10)}, kernel ${release()}, Node ${process.version}`);
await withScope(measure);
