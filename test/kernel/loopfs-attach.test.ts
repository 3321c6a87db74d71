/** An image's descriptor in, an open device out: also for who sends anything else, or never takes it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { startAgent } from '../support/agent-process.js';
import { attachClient } from '../support/attach-client.js';
import { defer } from '../support/defer.js';
import { fuseServerOf } from '../support/fuse-server.js';
import { loopsBetween } from '../support/loopfs.js';
import { type LoopfsHost, startLoopfsHost } from '../support/loopfs-serve.js';
import { asRootOf } from '../support/mapped-container.js';
import { readsTables } from '../support/partition-table.js';
import { type PlacedContainer, startPlacedContainer } from '../support/placed-container.js';
import { startReceiver } from '../support/receiver.js';
import { host } from '../support/shell.js';
import { eventually, SLOWNESS } from '../support/wait.js';

const FIRST = 23_000;
const LOOPWARDEN = `${process.execPath} ${join(PACKAGE_ROOT, 'dist/main.js')}`;

function noneLeft(): Promise<unknown> {
  return eventually(
    'the device is removed',
    async () => (await loopsBetween(FIRST, FIRST + 999)).length === 0,
  );
}

function countFds({ pid }: LoopfsHost): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Starts a command that goes on until its stdin ends. */
async function begin(container: PlacedContainer, script: string) {
  const words = [...asRootOf(container.pid), '-m', 'sh', '-ec', script];
  const child = spawn('nsenter', words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  return { child, ended, next, line: await next() };
}

test('a process hands an image over and gets an open device, which goes when it closes it', async (t) => {
  const agent = await startAgent(t);
  const serving = await startLoopfsHost(t, FIRST, {
    LOOPWARDEN_LOOPFS_NEEDS_AGENT: 'true',
    LOOPWARDEN_API_SOCKET: agent.env.LOOPWARDEN_API_SOCKET ?? '',
  });
  const receiver = await startReceiver(t);
  await agent.ask('receivers');
  const one = await startPlacedContainer(t, serving, 'one', 1);
  const image = one.image(1 << 20);
  const script = `
number, fd = attach([os.open(sys.argv[1], os.O_RDWR)], packet(offset=4096, size_limit=8192))
name = "loop%d" % number
read = lambda path: open("/sys/block/%s/loop/%s" % (name, path)).read().strip()
print(number, os.lseek(fd, 0, os.SEEK_END), read("offset"), read("sizelimit"), read("autoclear"), read("backing_file"))
assert os.path.realpath("/dev/" + name) == "/dev/loopfs/" + name
os.pwrite(fd, b"x" * 512, 0); os.fsync(fd)
sys.stdout.flush(); sys.stdin.read()`;
  const holder = await begin(one, attachClient(script, image));
  assert.equal(holder.line, `${FIRST} 8192 4096 8192 1 ${image}`);
  const { owner } = await agent.ask(`devices/loop${FIRST}`);
  assert.equal(owner.class, 'userns');
  const full = attachClient('print(attach([os.open(sys.argv[1], os.O_RDWR)]))', image);
  assert.equal(await one.run(full), 'ENOSPC');
  assert.equal((await one.try(`rm /dev/loopfs/loop${FIRST}`)).code, 1);
  holder.child.stdin.end();
  assert.equal(await holder.ended, 0);
  await noneLeft();
  await eventually('its names go', async () => {
    return (await one.run('ls /dev/loopfs; ls /dev | grep loop[0-9] || true')) === 'loop-control';
  });
  assert.equal(readFileSync(image, 'latin1').slice(4096, 4096 + 513), `${'x'.repeat(512)}\0`);

  const readOnly = await one.run(
    attachClient(
      `
number, fd = attach([os.open(sys.argv[1], os.O_RDONLY)], packet(flags=READ_ONLY))
try: os.write(fd, b"x" * 512)
except OSError as error: print(errno.errorcode[error.errno])
print(open("/sys/block/loop%d/ro" % number).read().strip())`,
      image,
    ),
  );
  assert.equal(readOnly, 'EBADF\n1');
  await noneLeft();
  await receiver.catchUp();
  assert.equal(receiver.loopEvents(), 0);
  await agent.settle();
  const configured = agent
    .audit()
    .filter(({ command, device }) => command === 'LOOP_CONFIGURE' && device.name === `loop${FIRST}`);
  assert.equal(configured.length, 1);
  assert.equal(configured[0].result, 'ok');
  assert.equal(configured[0].caller.userns.id, configured[0].owner.after);
});

test('whatever else is handed over ends as an errno, and leaves neither descriptor nor device', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one', 2);
  const image = one.image(1 << 20);
  const device = await one.run(`mkfifo ${one.home}/fifo; losetup -f --show ${image}`);
  const fdsBefore = countFds(serving);
  const out = await one.run(
    attachClient(
      `
image, device, home = sys.argv[1:]
def opened(path, flags=os.O_RDWR): return os.open(path, flags)
regular, spare = opened(image), pair()
for fds, data in [
    ([], packet()), ([regular, regular], packet()), ([regular] * 20, packet()),
    ([regular], packet()[:-1]), ([regular], packet() + b"x"), ([regular], b"x" * 4096),
    ([regular], packet(flags=1 << 20)), ([regular], packet(flags=4)), ([regular], packet(block_size=513)),
    ([opened(home, os.O_RDONLY)], packet()), ([opened(home + "/fifo")], packet()),
    ([opened(device)], packet()), ([opened("/dev/null")], packet()), ([control], packet()),
    ([opened("/dev/loopfs", os.O_RDONLY)], packet()), ([spare[0].fileno()], packet()),
    ([opened(image, os.O_PATH)], packet()), ([opened(image, os.O_WRONLY)], packet()),
]: print(attach(fds, data))
print("sockets")
print(attach([regular], kind=socket.SOCK_STREAM), attach([regular], kind=socket.SOCK_DGRAM))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(ask(udp.fileno()), ask(regular), ask(control))
print(ask(-1), ask(9999))
ours, theirs = pair()
print(ask(theirs.fileno()))
ours.close()
print(ask(theirs.fileno()))
`,
      ...[image, device, one.home],
    ),
  );
  const [handed, sockets] = out.split('\nsockets\n');
  assert.deepEqual(handed?.split('\n'), [...Array(16).fill('EINVAL'), 'EBADF', 'EBADF']);
  assert.deepEqual(sockets?.split(/\s/), [
    ...['EPROTOTYPE', 'EPROTOTYPE', 'EPROTOTYPE', 'ENOTSOCK', 'ENOTSOCK'],
    ...['EBADF', 'EBADF', 'ENODATA', 'EINVAL'],
  ]);
  await one.run(`losetup -d ${device}; rm /dev/loopfs/*[0-9]`).catch(() => {});
  await noneLeft();
  await eventually('every descriptor is closed', () => countFds(serving) <= fdsBefore);
});

test('who never takes what is sent, and who asks a thousand times at once, harms nobody else', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one', 4);
  const two = await startPlacedContainer(t, serving, 'two', 4);
  const fdsBefore = countFds(serving);
  const flood = attachClient(
    `
image = os.open(sys.argv[1], os.O_RDWR)
answers, kept = [], []
def once(data):
    ours, theirs = pair()
    send(ours, [image], data)
    kept.append(ours)
    answers.append(ask(theirs.fileno()))
for _ in range(8): once(packet())
print(sum(isinstance(answer, int) for answer in answers), answers[-1], flush=True)
del answers[:]
def many():
    for _ in range(50): once(b"x")
threads = [threading.Thread(target=many) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(answers), sorted({answer for answer in answers} - {"EAGAIN"}), flush=True)
sys.stdin.read()`,
    one.image(1 << 20),
  );
  const holder = await begin(one, flood);
  assert.equal(holder.line, '4 ENOSPC');
  const more = holder.next();
  const startedMs = performance.now();
  const script = 'print(isinstance(attach([os.open(sys.argv[1], os.O_RDWR)]), tuple))';
  assert.equal(await two.run(attachClient(script, two.image(1 << 20))), 'True');
  assert.ok(performance.now() - startedMs < 5000 * SLOWNESS);
  assert.equal(await more, "1000 ['EINVAL']");
  await eventually('none but the untaken are left', async () => {
    return (await loopsBetween(FIRST, FIRST + 999)).length === 4;
  });
  holder.child.kill('SIGKILL');
  holder.child.stdin.destroy();
  await noneLeft();
  await eventually('every descriptor is closed', () => countFds(serving) <= fdsBefore);
});

test('an image whose file system does not answer is given up, and keeps nobody else waiting', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  const two = await startPlacedContainer(t, serving, 'two');
  const outer = one.image(32 << 20);
  await host(`mkfs.ext4 -q ${outer}`);
  const inner = `${one.home}/mnt/inner`;
  await one.run(
    `mkdir ${one.home}/mnt; fuse2fs -o fakeroot ${outer} ${one.home}/mnt; truncate -s 4M ${inner}`,
  );
  const server = await fuseServerOf(one.home);
  const wake = (): Promise<string> => host(`kill -CONT ${server}`);
  const script = `
image = os.open(sys.argv[1], os.O_RDWR)
print("open", flush=True); sys.stdin.readline()
for _ in range(2): print(attach([image], packet(flags=PARTSCAN)), flush=True)
sys.stdin.readline()
print(attach([image]), flush=True)`;
  const stuck = await begin(one, attachClient(script, inner));
  await host(`kill -STOP ${server}; sleep 1.2`);
  defer(t, wake);
  const begunMs = performance.now();
  const answers = [stuck.next(), stuck.next()];
  stuck.child.stdin.write('\n');
  const other = attachClient('print(isinstance(attach([os.open(sys.argv[1], os.O_RDWR)]), tuple))', outer);
  assert.equal(await one.run('losetup -f >/dev/null; echo fine'), 'fine');
  assert.equal(await two.run(other.replace(outer, two.image(1 << 20))), 'True');
  // Where the kernel reads no partition tables, nothing has to be read.
  for (const answer of answers) assert.match(await answer, readsTables() ? /^EIO$/ : /^(EIO|\(\d+, \d+\))$/);
  assert.ok(performance.now() - begunMs < 6000 + 1000 * SLOWNESS);
  await wake();
  const last = stuck.next();
  stuck.child.stdin.write('\n');
  assert.match(await last, /^\(\d+, \d+\)$/);
  await stuck.ended;
  await one.run(`rm /dev/loopfs/loop${FIRST}* || true`);
});

test('loopwarden losetup runs a command with a device, and ends as it does', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  const image = one.image(8 << 20);
  const losetup = `${LOOPWARDEN} losetup ${image}`;
  assert.equal(await one.run(`${losetup} -- echo a`), `a /dev/loop${FIRST}`);
  assert.equal(
    await one.run(`${losetup} -- sh -c 'echo {} $LOOP_DEVICE $#'`),
    `/dev/loop${FIRST + 1} /dev/loop${FIRST + 1} 0`,
  );
  assert.equal(await one.run(`${losetup} -- mkfs.ext4 -q; blkid -o value -s TYPE ${image}`), 'ext4');
  const shown = await one.run(
    `${losetup} --read-only --offset 4K --sizelimit 1M --sector-size 4096 -- losetup -n -O OFFSET,SIZELIMIT,RO,LOG-SEC,AUTOCLEAR`,
  );
  assert.deepEqual(shown.split(/\s+/), ['4096', '1048576', '1', '4096', '1']);
  for (const [script, code] of [
    [`${losetup} -- sh -c 'exit 7'`, 7],
    [`${losetup} -- sh -c 'kill -TERM $$'`, 128 + 15],
    [`${losetup} -- ./no-such-command`, 127],
    [`${losetup} -- /`, 126],
    [losetup, 2],
    [`${losetup} --offset x -- true`, 2],
    [`${LOOPWARDEN} losetup ${one.home} -- true`, 1],
    [`${LOOPWARDEN} losetup ${one.home}/none -- true`, 1],
  ] as const)
    assert.equal((await one.try(script)).code, code, script);
  await noneLeft();

  // `exec`, so that the signal is for the wrapper.
  const trap = `exec ${losetup} -- sh -c 'trap "echo told; exit 3" TERM; echo ready; while :; do sleep 0.1; done'`;
  const told = await begin(one, trap);
  await host(`kill -TERM $(pgrep -f '^[^ ]*node.*losetup ${image}')`);
  assert.deepEqual([await told.next(), await told.ended], ['told', 3]);

  const killed = await begin(one, `exec ${losetup} -- sh -c 'echo ready; exec cat'`);
  const device = (await loopsBetween(FIRST, FIRST + 999))[0];
  await host(`kill -KILL $(pgrep -f '^[^ ]*node.*losetup ${image}')`);
  killed.child.stdin.end();
  await killed.ended;
  await noneLeft();
  assert.ok(!existsSync(`/sys/block/loop${device}`));
});

test('a temporary device of a process that was killed is removed by the next', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const one = await startPlacedContainer(t, serving, 'one');
  const script = 'print(attach([os.open(sys.argv[1], os.O_RDWR)])[0], flush=True); sys.stdin.read()';
  const holder = await begin(one, attachClient(script, one.image(1 << 20)));
  await serving.kill();
  holder.child.stdin.end();
  await holder.ended;
  assert.equal((await loopsBetween(FIRST, FIRST + 999)).length, 1);
  await serving.start();
  await noneLeft();
});
