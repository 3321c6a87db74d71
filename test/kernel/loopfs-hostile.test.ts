/** A container that wants to harm: it gets an errno in bounded time, and neither the process nor another one suffers. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { lstatSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { defer } from '../support/defer.js';
import { type LoopfsHost, startLoopfsHost } from '../support/loopfs-serve.js';
import { asRootOf, DEV_WITH_NODES, startMappedContainer } from '../support/mapped-container.js';
import { type PlacedContainer, startPlacedContainer } from '../support/placed-container.js';
import { LOOKUPS } from '../support/scale.js';
import { host } from '../support/shell.js';
import { eventually, SLOWNESS } from '../support/wait.js';

const FIRST = 42_000;

/** Programs of the container, running side by side; killed with their children after the test. */
function startInside(t: TestContext, { pid }: { pid: number }, program: string, count = 1) {
  const script = `i=0; while [ $i -lt ${count} ]; do python3 -c '${program}' & i=$((i + 1)); done; wait`;
  const argv = [...asRootOf(pid), '-m', 'sh', '-c', script];
  const child = spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const signal = (name: NodeJS.Signals): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, name);
  };
  const kill = async (): Promise<void> => {
    signal('SIGKILL');
    await ended;
  };
  defer(t, kill);
  let said = '';
  const started = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk;
      if (said.split('\n').length > count) resolve();
    });
  });
  return { started, ended, signal, kill };
}

/** Milliseconds that five devices take, from the search to the detachment. */
async function useMs(container: PlacedContainer): Promise<number> {
  const image = container.image(1 << 20);
  const startedMs = performance.now();
  await container.run(`for i in 1 2 3 4 5; do losetup -d $(losetup -f --show ${image}); done`);
  return performance.now() - startedMs;
}

const residentKiB = ({ pid }: LoopfsHost): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
/** Names that the kernel remembers as not being there. */
const negativeNames = (): number =>
  Number(readFileSync('/proc/sys/fs/dentry-state', 'utf8').trim().split(/\s+/)[4]);

test('floods of ioctls, opens and forgets keep no other instance from its devices, and leave no memory behind', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const noisy = await startPlacedContainer(t, serving, 'noisy', 2);
  const quiet = await startPlacedContainer(t, serving, 'quiet');
  const program = `
import fcntl, os
print("started", flush=True)
while True:
    control = os.open("/dev/loop-control", os.O_RDWR)
    for request, number in (0x4c82, 0), (0x4c80, -1), (0x4c81, 0), (0x4c81, 2 ** 31 - 1), (0x4c99, 0):
        try: fcntl.ioctl(control, request, number)
        except OSError: pass
    for name in os.listdir("/dev/loopfs"): os.stat("/dev/loopfs/" + name)
    os.close(control)`;
  const flood = startInside(t, noisy, program, 4);
  await flood.started;
  await useMs(quiet);
  const beforeKiB = residentKiB(serving);
  const tookMs = await useMs(quiet);
  await useMs(quiet);
  const grownKiB = residentKiB(serving) - beforeKiB;
  assert.ok(tookMs < 5000 * SLOWNESS, `${tookMs} ms`);
  assert.ok(grownKiB < 16 << 10, `grew by ${grownKiB} KiB`);
  await flood.kill();
  assert.equal(await noisy.run('ls /dev/loopfs | wc -l'), '3');
});

test('names that are not there cost the process nothing, and what the kernel remembers of them goes with the instance', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const container = await startPlacedContainer(t, serving, 'one');
  const ask = (count: number): Promise<string> =>
    container.run(`python3 -c '
import os
for at in range(${count}):
    try: os.stat("/dev/loopfs/loop%d" % at)
    except FileNotFoundError: pass
'`);
  await ask(LOOKUPS / 10);
  const before = { residentKiB: residentKiB(serving), names: negativeNames() };
  await ask(LOOKUPS);
  const grownKiB = residentKiB(serving) - before.residentKiB;
  assert.ok(grownKiB < 8 << 10, `grew by ${grownKiB} KiB`);
  await serving.ask('detach', 'one');
  await eventually('the kernel has forgotten them', () => negativeNames() - before.names < LOOKUPS / 2);
});

test('callers that are stopped within a call, or killed there, hold up nobody', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  const two = await startPlacedContainer(t, serving, 'two');
  const program = `
import fcntl, os
control = os.open("/dev/loop-control", os.O_RDWR)
print("started", flush=True)
while True:
    try: fcntl.ioctl(control, 0x4c82)
    except OSError: pass`;
  const callers = startInside(t, one, program, 16);
  await callers.started;
  callers.signal('SIGSTOP');
  for (const container of [two, one]) assert.ok((await useMs(container)) < 5000 * SLOWNESS);
  await callers.kill();
  assert.ok((await useMs(one)) < 5000 * SLOWNESS);
});

test('a process of loopfs that is stopped keeps nobody from being killed, and goes on afterwards', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  defer(t, () => process.kill(serving.pid, 'SIGCONT'));
  process.kill(serving.pid, 'SIGSTOP');
  const startedMs = performance.now();
  assert.notEqual((await one.try('timeout -s KILL 1 losetup -f')).code, 0);
  assert.ok(performance.now() - startedMs < 5000 * SLOWNESS);
  process.kill(serving.pid, 'SIGCONT');
  await useMs(one);
});

test('symlinks that come and go under an attachment lead it nowhere', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const container = await startMappedContainer(t, { prepare: DEV_WITH_NODES });
  const program = `
import os
print("started", flush=True)
def attempt(call, *arguments):
    try: call(*arguments)
    except OSError: pass
while True:
    for name in "loopfs", "loop-control":
        attempt(os.symlink, "/proc/1/root/dev", "/dev/" + name)
        attempt(os.unlink, "/dev/" + name)
        attempt(os.mkdir, "/dev/" + name)
        attempt(os.rename, "/dev/" + name, "/dev/old")
        attempt(os.rmdir, "/dev/old")`;
  const swapping = startInside(t, container, program, 2);
  await swapping.started;
  for (let round = 0; round < 4; round++) {
    await serving.ask('create', 'one', '--uid-base', '100000');
    const { code, stderr } = await serving.loopfs('attach', 'one', '--pid', String(container.pid));
    assert.ok(code === 0 || /process \d+/.test(stderr), `exit ${code}: ${stderr}`);
    await serving.loopfs('detach', 'one');
    assert.throws(() => lstatSync('/dev/loopfs'), { code: 'ENOENT' });
    assert.equal(await host('grep -c " /dev/loopfs " /proc/self/mountinfo || true'), '0');
  }
  await swapping.kill();
  await container.run('cd /dev; rm -rf loop-control old; rmdir loopfs 2>/dev/null || true');
  await serving.ask('create', 'one', '--uid-base', '100000');
  await serving.ask('attach', 'one', '--pid', String(container.pid));
  assert.equal(await container.run('losetup -f'), `/dev/loop${FIRST}`);
});

test('what is no image ends in an errno: of the instance itself, a FIFO, a folder, a device, a path alone', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  const [image, folder] = [one.image(1 << 20), one.home];
  const startedMs = performance.now();
  // A free device for each: a detachment takes effect when the last one closes it.
  const answers = await one.run(`python3 -c '
import errno, fcntl, os
control = os.open("/dev/loop-control", os.O_RDWR)
os.mkfifo("${folder}/fifo")
for name, flags in (
    ("itself", os.O_RDWR), ("/dev/loopfs", os.O_RDONLY), ("${folder}/fifo", os.O_RDWR), ("${folder}", os.O_RDONLY),
    ("/dev/null", os.O_RDWR), ("${image}", os.O_PATH), ("/dev/loop-control", os.O_RDWR), ("${image}", os.O_RDWR),
):
    path = "/dev/loop%d" % fcntl.ioctl(control, 0x4c82)
    device = os.open(path, os.O_RDWR)
    try:
        fcntl.ioctl(device, 0x4c00, os.open(path if name == "itself" else name, flags))
        os.pread(device, 512, 0)
        fcntl.ioctl(device, 0x4c01)
        print("ok")
    except OSError as error: print(errno.errorcode[error.errno])
    os.close(device)
'`);
  assert.ok(performance.now() - startedMs < 5000 * SLOWNESS);
  assert.deepEqual(answers.split('\n'), [
    ...['EBADF', 'EINVAL', 'EINVAL', 'EINVAL'],
    ...['EINVAL', 'EBADF', 'ok', 'ok'],
  ]);
  await useMs(one);
});
