/** Programs that a demo runs on the host: bounded, ended with it, and in no process group that Ctrl-C reaches first. */
import { type ChildProcess, spawn } from 'node:child_process';

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  /** Kills it. */
  stop?: AbortSignal;
}

const LIMIT_MS = 60_000;
const MAX_OUTPUT_BYTES = 8 << 20;
/** What does not end at SIGTERM is killed after this. */
const GRACE_MS = 10_000;

/** Never throws for an exit code; 127: there is no such program, -1: it was killed. */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawn(file, args, {
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
    signal: options.stop,
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].on('data', (chunk: Buffer) => {
      if (output[name].length < MAX_OUTPUT_BYTES) output[name] += chunk.toString();
    });
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve({ ...output, code: 127, stderr: `there is no ${file}` });
      else if (child.pid === undefined) resolve({ ...output, code: -1, stderr: error.message });
    });
    child.once('close', (code) => resolve({ ...output, code: code ?? -1 }));
  });
}

/** A shell script; its output without the last newline. @throws with what it said if it fails */
export async function shell(script: string, options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run('sh', ['-ec', script], options);
  if (code !== 0) throw new Error(`${script}: exit ${code}: ${stderr.trim()}`);
  return stdout.trim();
}

export interface Background {
  child: ChildProcess;
  pid: number;
  /** Its exit code, or what killed it. */
  ended: Promise<number | NodeJS.Signals | null>;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** A program that goes on until it is stopped. @throws if there is none */
export async function startBackground(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Background> {
  const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => {});
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal));
    child.once('error', () => resolve(null));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  return {
    child,
    pid: child.pid ?? 0,
    ended,
    stdout: () => stdout,
    stderr: () => stderr,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}
