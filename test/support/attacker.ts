/** Programs of an attacker, in Python with attacker.py at hand. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { defer } from './defer.js';

const PRELUDE = 'from attacker import *\n';
const ENVIRONMENT = { PYTHONPATH: join(PACKAGE_ROOT, 'test/support'), PYTHONDONTWRITEBYTECODE: '1' };

// biome-ignore lint/suspicious/noExplicitAny: what a script says is what its test expects
export type Said = any;

/** A shell command that runs a script; `words` are its sys.argv[1:]. */
export function attack(script: string, ...words: (string | number)[]): string {
  const environment = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${quoted(value)}`);
  return [...environment, 'python3', '-c', ...[PRELUDE + script, ...words.map(String)].map(quoted)].join(' ');
}

/** The lines that it said. */
export const said = (output: string): Said[] =>
  output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

export interface Attacker {
  pid: number;
  /** The next line that it says. @throws if it ends without one */
  says(): Promise<Said>;
  /** It waits for the test no more; `word` is what it reads. */
  go(word?: string | number): void;
  kill(): Promise<void>;
  ended: Promise<void>;
}

/** A script that says something and waits, while the test looks on; killed after the test. */
export function startAttacker(t: TestContext, script: string, ...words: (string | number)[]): Attacker {
  const child = spawn('python3', ['-c', PRELUDE + script, ...words.map(String)], {
    env: { ...process.env, ...ENVIRONMENT },
    stdio: ['pipe', 'pipe', 'inherit'],
    // With all that it forks, it can be killed at once.
    detached: true,
  });
  // It may have ended by itself.
  child.stdin.on('error', () => {});
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = async (): Promise<void> => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    await ended;
    // What it has forked into a session of its own sees the end of its input, and holds up nobody.
    child.stdin.destroy();
    child.stdout.destroy();
  };
  defer(t, kill);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    pid: child.pid ?? 0,
    async says() {
      const { value, done } = await lines.next();
      if (done) throw new Error('the attacker ended without a word');
      return JSON.parse(value);
    },
    go: (word = '') => void child.stdin.write(`${word}\n`),
    kill,
    ended,
  };
}

export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
