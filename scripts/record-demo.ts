/**
 * Records what `loopwarden demo` plays: a real agent on this kernel, and what happens in scripts/demo/story.ts. Needed when
 * records or frames have changed. As root, on a host where no agent runs; about a minute. Makes src/demo/recording.ndjson.gz,
 * or the file that is named.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Agent, startAgent } from '../src/agent.js';
import { createCleanup } from '../src/cleanup.js';
import { assembleConfig } from '../src/config/assemble.js';
import { run, startBackground } from '../src/demo/run.js';
import { eventually } from '../src/demo/wait.js';
import type { BpfMap } from '../src/kernel/native.js';
import { loadNative } from '../src/kernel/native.js';
import { PACKAGE_ROOT } from '../src/kernel/paths.js';
import { removeTraces } from '../src/kernel/traces.js';
import { createAgentLog } from '../src/sinks/agent-log.js';
import { createControlClient } from '../src/web/control-client.js';
import { createStatisticsReader } from '../src/web/loopfs-client.js';
import { createCast, enterUnit, IMAGES } from './demo/cast.js';
import { createRecorder } from './demo/recorder.js';
import { tellStory } from './demo/story.js';

const FILE = process.argv[2] ?? join(PACKAGE_ROOT, 'src/demo/recording.ndjson.gz');
const MAIN = join(PACKAGE_ROOT, 'dist/main.js');
/** Maps that are read by more than the programs: who owns what, and what counts. */
const READ = /^(owners|userns|record_seq|(?!canary).*_counts|.*_durations)$/;
const UDEVD = ['/lib/systemd/systemd-udevd', '/usr/lib/systemd/systemd-udevd'];

const cleanup = createCleanup();
const folder = mkdtempSync(join(tmpdir(), 'loopwarden-record-'));
cleanup.add(() => rmSync(folder, { recursive: true }));
const socket = join(folder, 'api.sock');
const loopfsSocket = join(folder, 'loopfs.sock');
const pins = `/sys/fs/bpf/loopwarden-record-${process.pid}`;
const settings = {
  'api.socket': socket,
  'http.port': 0,
  'audit.path': join(folder, 'audit.ndjson'),
  'audit.key_path': join(folder, 'audit.key'),
  'pins.path': pins,
  'loopfs.socket': loopfsSocket,
  'ring.size_bytes': 262_144,
};
const loaded = assembleConfig({}, () =>
  Object.entries(settings).map(([key, value]) => ({ key, value, origin: 'record-demo' })),
);
const log = createAgentLog({ level: 'warn' });
const addon = loadNative();
const recorder = createRecorder(addon, IMAGES);
const client = createControlClient(socket);
const statistics = createStatisticsReader(loopfsSocket);
let agent: Agent | undefined;
let lastStatus: ReturnType<Agent['status']> | undefined;

try {
  // What is done here is done by units of the host, whatever started this.
  enterUnit(cleanup, 'loopwarden.service', process.pid);
  await startListeners();
  cleanup.add(async () => void (await removeTraces(pins)));
  cleanup.add(() => agent?.stop());
  await start();
  recorder.begin(openMaps(), () => statusOf());
  const asking = setInterval(() => void ask(), 1000);
  cleanup.add(() => clearInterval(asking));
  await ask();
  recorder.starting();
  await tellStory({
    cast: createCast(cleanup),
    caption(text) {
      console.log(text);
      recorder.caption(text);
    },
    loopfs,
    startLoopfs,
    async stopAgent() {
      const stopping = agent;
      agent = undefined;
      await recorder.stopping(async () => stopping?.stop());
    },
    async startAgent() {
      recorder.starting();
      await start();
    },
    folder,
  });
  await ask();
  recorder.end();
  console.log(`${FILE}: ${recorder.write(FILE)} bytes`);
} finally {
  await cleanup.run();
}

/** So that there is somebody to hide from. */
async function startListeners(): Promise<void> {
  const daemon = UDEVD.find((path) => existsSync(path));
  if (daemon !== undefined && (await run('pidof', ['systemd-udevd'])).code !== 0) {
    const udevd = await startBackground(daemon, []);
    cleanup.add(() => udevd.stop());
    enterUnit(cleanup, 'systemd-udevd.service', udevd.pid);
  }
  const env = { ...process.env, SYSTEMD_IGNORE_CHROOT: '1' };
  const monitor = await startBackground('udevadm', ['monitor', '-k'], env);
  cleanup.add(() => monitor.stop());
  await eventually('the monitor listens', () => monitor.stdout().includes('KERNEL'));
}

async function start(): Promise<void> {
  agent = await startAgent(loaded, log, new AbortController().signal, { native: recorder.native });
}

/** While there is no agent: as it was. */
function statusOf(): ReturnType<Agent['status']> {
  if (agent !== undefined) lastStatus = agent.status();
  if (lastStatus === undefined) throw new Error('no agent has started');
  return lastStatus;
}

function openMaps(): Map<string, BpfMap> {
  const layouts = readdirSync(pins).filter((name) => !name.startsWith('gates-'));
  const paths = layouts.flatMap((layout) => readdirSync(join(pins, layout)).map((name) => [layout, name]));
  return new Map(
    paths
      .filter(([, name = '']) => READ.test(name))
      .map(([layout = '', name = '']) => [name, addon.openPinnedMap(join(pins, layout, name))]),
  );
}

async function ask(): Promise<void> {
  if (agent === undefined) return;
  const receivers = (await client.request('GET', '/api/v1/receivers')) as { socketInode: unknown }[];
  const words = (value: unknown): string => String(value);
  recorder.note(
    'receivers',
    receivers.map((each) => ({
      ...each,
      socketInode: words(each.socketInode),
      userns: words((each as { userns?: unknown }).userns),
      container: words((each as { container?: unknown }).container),
    })),
  );
  recorder.note('loopfs', (await statistics()) ?? null);
}

function environment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    LOOPWARDEN_API_SOCKET: socket,
    LOOPWARDEN_LOOPFS_SOCKET: loopfsSocket,
    LOOPWARDEN_LOOPFS_FOLDER: join(folder, 'loopfs'),
  };
}

async function startLoopfs(): Promise<void> {
  const serving = await startBackground(process.execPath, [MAIN, 'loopfs', 'serve'], environment());
  cleanup.add(() => serving.stop());
  await eventually('loopfs serves', () => serving.stdout().includes('is serving'));
}

async function loopfs(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(process.execPath, [MAIN, 'loopfs', ...words], {
    env: environment(),
  });
  if (code !== 0) throw new Error(`loopfs ${words.join(' ')}: ${stderr}`);
  return stdout;
}
