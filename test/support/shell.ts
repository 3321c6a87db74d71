/** Commands on the host, and in a user namespace as a container has one. */
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { SLOWNESS } from './wait.js';

const execute = promisify(execFile);
const TIMEOUT_MS = 120_000 * SLOWNESS;

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Never throws for an exit code. */
export async function command(
  file: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<Outcome> {
  try {
    const { stdout, stderr } = await execute(file, args, {
      timeout: TIMEOUT_MS,
      env: env ?? process.env,
      maxBuffer: 64 << 20,
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string };
    return { code: typeof code === 'number' ? code : -1, stdout, stderr };
  }
}

/** A shell script on the host; its output. @throws if it fails */
export function host(script: string): Promise<string> {
  return succeed('sh', ['-ec', script]);
}

/** The same as the root of a new user namespace, without any privilege on the host. */
export function container(script: string): Promise<string> {
  return succeed('unshare', ['-Ur', 'sh', '-ec', script]);
}

/** A user namespace that lives until `leave`; `run` goes into it again. */
export async function openContainer(): Promise<{
  pid: number;
  run(script: string): Promise<string>;
  leave(): Promise<void>;
}> {
  const holder = spawn('unshare', ['-Ur', 'sh', '-c', 'echo ready; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const ended = new Promise<void>((resolve) => holder.once('exit', () => resolve()));
  const pid = holder.pid ?? 0;
  return {
    pid,
    run: (script) =>
      succeed('nsenter', ['-t', String(pid), '-U', '--preserve-credentials', 'sh', '-ec', script]),
    async leave() {
      holder.stdin.end();
      await ended;
    },
  };
}

/** Its output, without the blanks around it. @throws if it fails */
export async function succeed(file: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await command(file, args);
  if (code !== 0) throw new Error(`${file} ${args.join(' ')}: exit ${code}: ${stderr}`);
  return stdout.trim();
}
