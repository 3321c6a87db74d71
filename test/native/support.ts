import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadNative, type NativeError } from '../../src/kernel/native.js';

export const native = loadNative();
export const root = fileURLToPath(new URL('../..', import.meta.url));
export const fixtures = fileURLToPath(new URL('fixtures', import.meta.url));

/** A directory that goes away when the test file ends. */
export const scratch = mkdtempSync(join(tmpdir(), 'loopwarden-native-'));
let bpffs: string | undefined;
after(() => {
  if (bpffs) execFileSync('umount', [bpffs]);
  rmSync(scratch, { recursive: true, force: true });
});

/** A file system for pins of this test file alone. */
export function pinDirectory(): string {
  if (bpffs) return bpffs;
  const directory = join(scratch, 'bpffs');
  mkdirSync(directory);
  native.mountBpffs(directory);
  bpffs = directory;
  return directory;
}

const compiled = new Map<string, string>();

/** Path of the object of test/native/fixtures/NAME.bpf.c. */
export function compile(name: string): string {
  const known = compiled.get(name);
  if (known) return known;
  const output = join(scratch, `${name}.o`);
  const multiarch = execFileSync('gcc', ['-print-multiarch'], { encoding: 'utf8' }).trim();
  const flags = ['-O2', '-g', '-Wall', '-target', 'bpf', `-I/usr/include/${multiarch}`];
  execFileSync('clang', [...flags, '-c', join(fixtures, `${name}.bpf.c`), '-o', output]);
  compiled.set(name, output);
  return output;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

/** For assert.throws: the native error's code. */
export function code(expected: string): (error: unknown) => boolean {
  return (error) => {
    if (error instanceof Error && (error as NativeError).code === expected) return true;
    throw error;
  };
}

/** Settles with the promise, or fails at the deadline. */
export async function within<T>(milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Another process with a uevent socket. */
export interface ReceiverProcess {
  readonly pid: number;
  readonly fd: number;
  readonly portid: number;
  ask(command: 'receive' | 'classic' | 'lock'): Promise<string>;
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<ReceiverProcess> {
  const child: ChildProcessWithoutNullStreams = spawn('python3', [join(fixtures, 'receiver.py')]);
  child.stderr.pipe(process.stderr);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => {
    const line = await within(15_000, 'line of the receiver', lines.next());
    if (line.done) throw new Error('the receiver has ended');
    return line.value;
  };
  const [fd, portid] = (await nextLine()).split(' ').map(Number);
  if (child.pid === undefined || fd === undefined || portid === undefined) throw new Error('no receiver');
  return {
    pid: child.pid,
    fd,
    portid,
    ask: async (command) => {
      child.stdin.write(`${command}\n`);
      return nextLine();
    },
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Runs a script in a Node of its own, with `native` and `fixture` there; returns how it ended. */
export function runScript(
  script: string,
  flags: readonly string[] = [],
): Promise<{ status: number | null; signal: string | null; stdout: string; stderr: string }> {
  const prelude = `
    const native = require('node-gyp-build')(${JSON.stringify(root)});
    const object = (path) => { const o = native.openObject(path); o.load(); return o; };`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, '-e', prelude + script], {
      cwd: root,
      timeout: 30_000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
}
