/** A real agent in a process of its own, with its own socket, port, pins and log. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { createControlClient } from '../../src/web/control-client.js';
import { defer, type Scope } from './defer.js';
import { ask as httpGet } from './http-get.js';
import { command, type Outcome } from './shell.js';
import { tempFolder } from './temp-folder.js';
import { eventually } from './wait.js';

/** In a storm on a busy machine. */
const START_MS = 60_000;
const MAIN = join(PACKAGE_ROOT, 'dist/main.js');

// biome-ignore lint/suspicious/noExplicitAny: lines of the log are read as they come
export type AuditLine = any;

export interface AgentProcess {
  url: string;
  pid: number;
  auditPath: string;
  env: NodeJS.ProcessEnv;
  /** Every line of the log so far, but the checkpoints. */
  audit(): AuditLine[];
  /** Resolves when the log says everything that the kernel has recorded so far. */
  settle(): Promise<void>;
  /** loopwarden with these arguments, against this agent. */
  cli(...args: string[]): Promise<Outcome>;
  json(...args: string[]): Promise<AuditLine>;
  /** What the control socket answers to GET /api/v1/`name`: as the commands get it, without starting one. */
  ask(name: string): Promise<AuditLine>;
  metrics(): Promise<Map<string, number>>;
  /** Everything the agent wrote to stderr. */
  log(): string;
  isRunning(): boolean;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface AgentEnvironment {
  env: NodeJS.ProcessEnv;
  auditPath: string;
}

/** For agents that follow each other on the same pins. All traces are gone after the test. */
export function agentEnvironment(t: Scope, more: NodeJS.ProcessEnv = {}): AgentEnvironment {
  const environment = environmentIn(tempFolder(t), more);
  defer(t, async () => {
    const { code, stderr } = await command(process.execPath, [MAIN, 'uninstall'], environment.env);
    assert.equal(code, 0, `uninstall: ${stderr}`);
  });
  return environment;
}

/** For an agent that is to leave no trace by itself. */
export function environmentIn(folder: string, more: NodeJS.ProcessEnv = {}): AgentEnvironment {
  const auditPath = join(folder, 'audit.ndjson');
  const env = {
    ...agentsOwn(process.env),
    LOOPWARDEN_HTTP_PORT: '0',
    LOOPWARDEN_API_SOCKET: join(folder, 'api.sock'),
    LOOPWARDEN_PINS_PATH: `/sys/fs/bpf/loopwarden-test-${process.pid}`,
    LOOPWARDEN_AUDIT_PATH: auditPath,
    LOOPWARDEN_AUDIT_KEY_PATH: join(folder, 'audit.key'),
    // Tests read the log as one file.
    LOOPWARDEN_AUDIT_ROTATE_BYTES: '0',
    LOOPWARDEN_AUDIT_KINDS: 'ioctl,life,agent,uevent',
    ...more,
  };
  return { env, auditPath };
}

/** Starts an agent and kills it after so many milliseconds, however far it has come by then. It must not have ended by itself. */
export async function killInStart(t: Scope, { env }: AgentEnvironment, afterMs: number): Promise<void> {
  const child = spawn(process.execPath, [MAIN, 'run', '--json'], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exited = exitOf(child);
  defer(t, async () => {
    child.kill('SIGKILL');
    await exited;
  });
  await delay(afterMs);
  child.kill('SIGKILL');
  await exited;
  assert.equal(child.signalCode, 'SIGKILL', `the agent ended by itself: ${stderr}`);
}

/** After the test: no record was lost, and the agent stops well. */
export async function startAgent(
  t: Scope,
  environment = agentEnvironment(t),
  main = MAIN,
  /** Words before the agent's command, which end in running it: `unshare -m …`. */
  within: readonly string[] = [],
  options: readonly string[] = [],
): Promise<AgentProcess> {
  const { env, auditPath } = environment;
  const linesBefore = countLines(auditPath);
  const linesOf = () => countLines(auditPath) - linesBefore;
  const [file = '', ...words] = [...within, process.execPath, main, 'run', '--json', ...options];
  const child = spawn(file, words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exited = exitOf(child);
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  defer(t, async () => {
    // One that never greeted, too.
    if (isRunning()) child.kill('SIGKILL');
    await exited;
  });
  const status = await eventually(
    'the agent greets',
    () => {
      if (!isRunning())
        throw new Error(`the agent ended with ${child.exitCode ?? child.signalCode}: ${stderr}`);
      return stdout.includes('\n') && (JSON.parse(stdout) as { metricsUrl: string });
    },
    START_MS,
  );
  const cli = (...args: string[]): Promise<Outcome> => command(process.execPath, [MAIN, ...args], env);
  const json = async (...args: string[]): Promise<AuditLine> => {
    const { code, stdout: text, stderr: complaint } = await cli(...args, '--json');
    assert.ok(code === 0, `${args.join(' ')}: exit ${code}: ${complaint}`);
    return JSON.parse(text);
  };
  const control = createControlClient(env.LOOPWARDEN_API_SOCKET ?? '');
  const audit = () => readLines(auditPath);
  const metrics = async (): Promise<Map<string, number>> => {
    const text = (await httpGet(`${status.metricsUrl}/metrics`)).body;
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      samples.map((line) => [
        line.slice(0, line.lastIndexOf(' ')),
        Number(line.slice(line.lastIndexOf(' ') + 1)),
      ]),
    );
  };
  const agent: AgentProcess = {
    url: status.metricsUrl,
    pid: child.pid ?? 0,
    auditPath,
    env,
    audit,
    cli,
    json,
    ask: (name) => control.request('GET', `/api/v1/${name}`),
    metrics,
    log: () => stderr,
    isRunning,
    async settle() {
      // A scrape reads the ring to its end; the lines of a batch are then written, and its room released.
      await eventually('the log is complete', async () => {
        const now = await metrics();
        const waiting = now.get('loopwarden_ring_bytes{state="available"}');
        return waiting === 0 && (now.get('loopwarden_audit_lines_total{result="written"}') ?? 0) <= linesOf();
      });
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    },
  };
  defer(t, async () => {
    if (!isRunning()) return;
    const drops = [...(await metrics())].filter(
      ([name, value]) => name.startsWith('loopwarden_drops_total') && value > 0,
    );
    assert.equal(await agent.stop(), 0, stderr);
    assert.deepEqual(drops, []);
  });
  return agent;
}

/** Without what is for the tests: the agent refuses a name with its prefix that it does not know. */
export function agentsOwn(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('LOOPWARDEN_TEST_')));
}

function readLines(path: string): AuditLine[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  // What follows the last newline is being written.
  return lines
    .slice(0, -1)
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => kind !== 'checkpoint');
}

/** Without reading what they say: after a storm that would take an emulated machine half a minute. */
function countLines(path: string): number {
  if (!existsSync(path)) return 0;
  const text = readFileSync(path);
  let count = 0;
  for (let at = text.indexOf(10); at !== -1; at = text.indexOf(10, at + 1)) count++;
  return count;
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('exit', resolve));
}
