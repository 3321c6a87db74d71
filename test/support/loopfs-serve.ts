/** The real process of loopfs, as it is started on a host, and its commands. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { agentsOwn } from './agent-process.js';
import { defer } from './defer.js';
import { removeLoops } from './loopfs.js';
import { command, type Outcome } from './shell.js';
import { tempFolder } from './temp-folder.js';
import { eventually } from './wait.js';

const MAIN = join(PACKAGE_ROOT, 'dist/main.js');

export interface LoopfsHost {
  readonly socket: string;
  readonly pid: number;
  /** `loopwarden loopfs …` */
  loopfs(...args: string[]): Promise<Outcome>;
  /** Its answer as JSON. @throws unless it ends with 0 */
  ask(...args: string[]): Promise<unknown>;
  start(): Promise<void>;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/** Devices have numbers from `first` on, a thousand of them; whatever is left of them after the test is removed. */
export async function startLoopfsHost(
  t: TestContext,
  first: number,
  settings: Record<string, string> = {},
): Promise<LoopfsHost> {
  execFileSync('bash', [join(PACKAGE_ROOT, 'scripts/build-ts.sh')], { stdio: 'ignore' });
  const folder = tempFolder(t);
  const socket = join(folder, 'loopfs.sock');
  const env = {
    ...agentsOwn(process.env),
    LOOPWARDEN_LOOPFS_SOCKET: socket,
    LOOPWARDEN_LOOPFS_FOLDER: join(folder, 'state'),
    LOOPWARDEN_LOOPFS_FIRST_NUMBER: String(first),
    LOOPWARDEN_LOOPFS_NEEDS_AGENT: 'false',
    LOOPWARDEN_LOG_LEVEL: process.env.LOOPFS_TEST_LOG ?? 'silent',
    ...settings,
  };
  let child: ChildProcess | undefined;
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null) return;
    const ended = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill(signal);
    await ended;
  };
  const started: LoopfsHost = {
    socket,
    get pid() {
      return child?.pid ?? 0;
    },
    loopfs: (...args) => command(process.execPath, [MAIN, 'loopfs', ...args], env),
    async ask(...args) {
      const { code, stdout, stderr } = await started.loopfs(...args, '--json');
      if (code !== 0) throw new Error(`loopfs ${args.join(' ')}: exit ${code}: ${stderr}`);
      return JSON.parse(stdout);
    },
    async start() {
      const serving = spawn(process.execPath, [MAIN, 'loopfs', 'serve'], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env,
      });
      child = serving;
      let said = '';
      serving.stdout.on('data', (chunk: Buffer) => (said += chunk));
      await eventually('loopfs serves', () => {
        if (serving.exitCode !== null) throw new Error(`loopfs serve: exit ${serving.exitCode}`);
        return said.includes('is serving');
      });
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
  defer(t, () => removeLoops(first, first + 999));
  defer(t, () => end('SIGTERM'));
  await started.start();
  return started;
}
