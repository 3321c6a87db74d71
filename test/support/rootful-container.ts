/** A container whose root is the host's: pid and mount namespaces of its own, and no user namespace. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { command } from './shell.js';
import { eventually } from './wait.js';

export interface RootfulContainer {
  /** Of its first process, on the host. */
  pid: number;
  /** Number of its pid namespace. */
  pidns: number;
  /** Words before a command that runs in it. */
  enter: readonly string[];
  /** A shell script in it; its output. @throws if it fails */
  run(script: string): Promise<string>;
  /** Ends its processes: what it has attached stays. */
  end(): Promise<void>;
}

/** Ended after the test. `inside`: words before the command that starts it, such as those that enter another one. */
export async function openRootfulContainer(
  t: TestContext,
  inside: readonly string[] = [],
): Promise<RootfulContainer> {
  const words = [...inside, 'unshare', '-m', '-p', '-f', '--mount-proc', 'sh', '-c', 'echo ready; exec cat'];
  const holder = spawn(words[0] ?? '', words.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => holder.once('exit', () => resolve()));
  const end = async (): Promise<void> => {
    holder.stdin.end();
    await ended;
  };
  defer(t, end);
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const pid = await eventually('the container has its first process', () => lastOf(holder.pid ?? 0));
  const enter = ['nsenter', '-t', String(pid), '-m', '-p'];
  const run = async (script: string): Promise<string> => {
    const [file = '', ...args] = [...enter, 'sh', '-ec', script];
    const { code, stdout, stderr } = await command(file, args);
    if (code !== 0) throw new Error(`${script}: exit ${code}: ${stderr}`);
    return stdout.trim();
  };
  const { stdout } = await command('stat', ['-L', '-c', '%i', `/proc/${pid}/ns/pid`]);
  return { pid, pidns: Number(stdout), enter, run, end };
}

/** The last of a line of only children. */
function lastOf(pid: number): number | undefined {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return child === undefined ? pid : lastOf(Number(child));
}
