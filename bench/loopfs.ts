/**
 * What an instance costs its container: each figure beside the same without one, of the same run. As root, with no other
 * agent running; makes loop devices from 40000 on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import type { TestContext } from 'node:test';
import { startAgent } from '../test/support/agent-process.js';
import { defer } from '../test/support/defer.js';
import { startLoopfsHost } from '../test/support/loopfs-serve.js';
import { type PlacedContainer, startPlacedContainer } from '../test/support/placed-container.js';
import { host } from '../test/support/shell.js';
import { median, withScope } from './scope.js';

const NODES = 1000;
const FIRST = 40_000;
const ROUNDS = 5;
const TIMES_EACH = 9;

function report(what: string, unit: string, without: number, within: number): void {
  const ratio = (within / without).toFixed(1);
  console.log(
    `${what.padEnd(42)} ${within.toFixed(1)} ${unit}, without ${without.toFixed(1)}, ratio ${ratio}`,
  );
}

/** Medians, each of the quietest of five rounds, of: a name that is there, one that is not, in microseconds; the whole folder in milliseconds. */
const TIMES = `
import os, sys, time
path = sys.argv[1]
names = [path + "/" + name for name in sorted(os.listdir(path)) if name[4:].isdigit()]
def median(body, times):
    def once():
        took = []
        for at in range(times):
            start = time.perf_counter(); body(at); took.append(time.perf_counter() - start)
        return sorted(took)[times // 2] * 1e6
    return min(once() for _ in range(5))
def missing(at):
    try: os.stat(path + "/loop9%06d" % at)
    except OSError: pass
there, back = os.pipe(), os.pipe()
if os.fork() == 0:
    os.close(there[1]); os.close(back[0])
    while os.read(there[0], 1): os.write(back[1], b".")
    os._exit(0)
def ask(at):
    os.write(there[1], b"."); os.read(back[0], 1)
print(median(ask, 1000))
print(median(lambda at: os.stat(names[at % len(names)]), 2000))
print(median(missing, 1000))
print(median(lambda at: os.listdir(path), 40) / 1e3)
print(len(names))
`;

async function measureNodes(scope: TestContext): Promise<void> {
  const limits = { LOOPWARDEN_LOOPFS_DEVICES_PER_USERNS: '4096', LOOPWARDEN_LOOPFS_DEVICES: '4096' };
  const serving = await startLoopfsHost(scope, FIRST, limits);
  const container = await startPlacedContainer(scope, serving, 'nodes', NODES);
  const script = `
    python3 -c 'import fcntl, os
control = os.open("/dev/loop-control", os.O_RDWR)
for _ in range(${NODES}): fcntl.ioctl(control, 0x4c80, -1)'
    python3 -c '${TIMES}' /dev/loopfs
    mkdir /dev/plain; cd /dev/plain; i=0
    while [ $i -lt ${NODES} ]; do : > loop$((${FIRST} + i)); i=$((i + 1)); done
    python3 -c '${TIMES}' /dev/plain`;
  const numbers = (await container.run(script)).split('\n').map(Number);
  const [pipe = 0, stat = 0, missing = 0, list = 0, count] = numbers;
  const plainList = numbers[8] ?? 0;
  if (count !== NODES) throw new Error(`${count} nodes instead of ${NODES}`);
  console.log('A question to another process over a pipe, beside it one to an instance:');
  report('stat of a node, p50', 'us', pipe, stat);
  report('stat of a name that is not there, p50', 'us', pipe, missing);
  console.log('A folder on tmpfs, beside it an instance:');
  report(`readdir of ${NODES} nodes`, 'ms', plainList, list);
}

/** Nanoseconds of each; `-d` between them, so that it is the same device again, or nothing, so that each is new. */
const losetup = (image: string, between: string): string => `
i=0; while [ $i -lt ${TIMES_EACH} ]; do
  a=$(date +%s%N); d=$(losetup -f --show ${image}); b=$(date +%s%N); ${between}; echo $((b - a)); i=$((i + 1))
done`;

const medianMs = (text: string): number => median(text.split('\n').map((ns) => Number(ns) / 1e6));

/** In turn on the host and inside, so that both see the machine alike; of each the quietest round. */
async function measureLosetup(container: PlacedContainer, words: string): Promise<void> {
  for (const [what, between] of [
    ['the same device again', 'losetup -d $d'],
    ['a new device', ':'],
  ] as const) {
    const onHostMs: number[] = [];
    const insideMs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const image = container.image(1 << 20);
      onHostMs.push(medianMs(await host(losetup(image, between))));
      await host(`losetup -n -O NAME -j ${image} | xargs -r losetup -d`);
      insideMs.push(medianMs(await container.run(losetup(image, between))));
    }
    report(`losetup, ${what}, ${words}`, 'ms', Math.min(...onHostMs), Math.min(...insideMs));
  }
}

/** On tmpfs, as /run is: each new device is written down before it is made. */
function stateFolder(scope: TestContext): { LOOPWARDEN_LOOPFS_FOLDER: string } {
  const folder = mkdtempSync('/dev/shm/loopwarden-bench-');
  defer(scope, () => rmSync(folder, { recursive: true }));
  return { LOOPWARDEN_LOOPFS_FOLDER: folder };
}

async function measureAgentless(scope: TestContext): Promise<void> {
  const serving = await startLoopfsHost(scope, FIRST, stateFolder(scope));
  await measureLosetup(await startPlacedContainer(scope, serving, 'without', 64), 'no agent');
}

async function measureWithAgent(scope: TestContext): Promise<void> {
  const agent = await startAgent(scope);
  const settings = {
    ...stateFolder(scope),
    LOOPWARDEN_LOOPFS_NEEDS_AGENT: 'true',
    LOOPWARDEN_API_SOCKET: agent.env.LOOPWARDEN_API_SOCKET ?? '',
  };
  const serving = await startLoopfsHost(scope, FIRST, settings);
  await measureLosetup(await startPlacedContainer(scope, serving, 'with', 64), 'agent');
}

console.log(`${new Date().toISOString().slice(0, 10)}, kernel ${release()}`);
await withScope(measureNodes);
console.log('losetup -f --show in a container, and beside it on the host:');
await withScope(measureAgentless);
await withScope(measureWithAgent);
