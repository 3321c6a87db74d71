/** How long a person waits for a query: from the command to its end, against a control socket with 100 devices. No root is needed. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../src/kernel/paths.js';
import type { ControlApi } from '../src/web/control-api.js';
import { startControlServer } from '../src/web/control-server.js';
import { deviceReport } from '../test/device-fixture.js';

const ROUNDS = 15;
/** More is felt as waiting. */
const LIMIT_MS = 250;
const folder = mkdtempSync(join(tmpdir(), 'loopwarden-bench-'));
const socket = join(folder, 'api.sock');
const devices = Array.from({ length: 100 }, (_, at) => deviceReport({ name: `loop${at}`, devno: `7:${at}` }));
const api: Partial<ControlApi> = {
  devices: async () => devices,
  device: async (name) => devices.find((device) => device.name === name),
  activity: async () => ({ windowSeconds: 10, rows: [], forgotten: 0 }),
  recentEvents: () => [],
};
const server = await startControlServer({ path: socket, api: api as ControlApi });
const env = { ...process.env, LOOPWARDEN_API_SOCKET: socket };

function measure(args: readonly string[]): Promise<number> {
  const startMs = performance.now();
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('exit', (code) =>
      code === 0
        ? resolve(performance.now() - startMs)
        : reject(new Error(`${args.join(' ')}: exit ${code}`)),
    );
  });
}

async function median(args: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) times.push(await measure(args));
  return times.sort((a, b) => a - b)[ROUNDS >> 1] ?? Number.NaN;
}

console.log(`node itself: ${(await median(['-e', '0'])).toFixed(0)} ms (Node ${process.version})`);
for (const words of ['--version', 'devices', 'top -n 1', 'events', 'explain loop7', 'completion bash']) {
  const ms = await median([join(PACKAGE_ROOT, 'dist/main.js'), ...words.split(' ')]);
  console.log(`${words.padEnd(16)} ${ms.toFixed(0)} ms${ms > LIMIT_MS ? `: more than ${LIMIT_MS}` : ''}`);
  if (ms > LIMIT_MS) process.exitCode = 1;
}
await server.close();
rmSync(folder, { recursive: true });
