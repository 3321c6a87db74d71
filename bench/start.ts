/** From the command to filtering, and the resident memory then. As root, with no other agent running. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../src/kernel/paths.js';

const ROUNDS = 5;
const MAIN = join(PACKAGE_ROOT, 'dist/main.js');
const folder = mkdtempSync(join(tmpdir(), 'loopwarden-bench-'));
const env = {
  ...process.env,
  LOOPWARDEN_HTTP_PORT: '0',
  LOOPWARDEN_API_SOCKET: join(folder, 'api.sock'),
  LOOPWARDEN_AUDIT_PATH: join(folder, 'audit.ndjson'),
  LOOPWARDEN_AUDIT_KEY_PATH: join(folder, 'audit.key'),
  LOOPWARDEN_PINS_PATH: `/sys/fs/bpf/loopwarden-bench-${process.pid}`,
};

async function measure(): Promise<{ ms: number; residentKiB: number }> {
  const startMs = performance.now();
  const agent = spawn(process.execPath, [MAIN, 'run'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => agent.once('exit', resolve));
  await new Promise((resolve, reject) => {
    agent.stdout.once('data', resolve);
    agent.once('exit', () => reject(new Error('the agent did not start')));
  });
  const ms = performance.now() - startMs;
  const status = readFileSync(`/proc/${agent.pid}/status`, 'utf8');
  agent.kill('SIGTERM');
  await exited;
  return { ms, residentKiB: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) };
}

const median = (values: number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const rounds: { ms: number; residentKiB: number }[] = [];
for (let round = 0; round < ROUNDS; round++) rounds.push(await measure());
const uninstall = spawn(process.execPath, [MAIN, 'uninstall'], { env, stdio: 'ignore' });
await new Promise((resolve) => uninstall.once('exit', resolve));
rmSync(folder, { recursive: true });
const node = process.version;
console.log(`start to filtering: ${median(rounds.map(({ ms }) => ms)).toFixed(0)} ms (Node ${node})`);
console.log(
  `resident after it:  ${(median(rounds.map(({ residentKiB }) => residentKiB)) / 1024).toFixed(0)} MiB`,
);
