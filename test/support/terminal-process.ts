/** A command on a terminal of its own: `script` of util-linux makes it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { defer } from './defer.js';

const MAIN = join(PACKAGE_ROOT, 'dist/main.js');

export interface TerminalProcess {
  /** Everything that the terminal got so far. */
  output(): string;
  /** What is typed: `\u0003` is Ctrl-C. */
  type(text: string): void;
  /** To the command itself. */
  child: ChildProcess;
  exit: Promise<number | null>;
}

/** loopwarden on a terminal of this size. */
export function onTerminal(
  t: TestContext,
  args: readonly string[],
  { env, columns = 80, rows = 24 }: { env: NodeJS.ProcessEnv; columns?: number; rows?: number },
): TerminalProcess {
  const words = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(' ');
  const script = `stty cols ${columns} rows ${rows}; exec ${words}`;
  const child = spawn('script', ['-qefc', script, '/dev/null'], {
    env: { ...env, TERM: 'xterm', SHELL: '/bin/sh' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const exit = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  defer(t, async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exit;
  });
  return { output: () => output, type: (text) => child.stdin?.write(text), child, exit };
}
