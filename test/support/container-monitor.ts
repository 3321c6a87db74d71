/** `udevadm monitor -k` as a container's root would start it. */
import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { asRootOf } from './mapped-container.js';
import { eventually } from './wait.js';

export interface ContainerMonitor {
  /** All that it has printed. */
  heard(): string;
  /** Resolves when it has heard of it. */
  hears(action: string, path: string): Promise<unknown>;
}

export async function startContainerMonitor(
  t: TestContext,
  { pid }: { pid: number },
): Promise<ContainerMonitor> {
  const child = spawn('nsenter', [...asRootOf(pid), 'stdbuf', '-oL', 'udevadm', 'monitor', '-k'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  defer(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let heard = '';
  child.stdout.on('data', (chunk: Buffer) => (heard += chunk));
  await eventually('the monitor listens', () => heard.includes('KERNEL - the kernel uevent'));
  return {
    heard: () => heard,
    hears: (action, path) =>
      eventually(`${action} of ${path}`, () =>
        new RegExp(`] ${action} +/devices/virtual/${path} `).test(heard),
      ),
  };
}
