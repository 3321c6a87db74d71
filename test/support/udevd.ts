/** The real systemd-udevd: the host's own if it runs, else one for the test. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { command, host } from './shell.js';
import { eventually } from './wait.js';

const PATHS = ['/lib/systemd/systemd-udevd', '/usr/lib/systemd/systemd-udevd'];

/** Returns when it answers and has put its watch on every block device, as after a boot. */
export async function startUdevd(t: TestContext): Promise<void> {
  if ((await command('pidof', ['systemd-udevd'])).code !== 0) {
    const path = PATHS.find((each) => existsSync(each)) ?? '';
    const daemon = spawn(path, [], { stdio: 'ignore' });
    defer(t, async () => {
      const ended = new Promise((resolve) => daemon.once('exit', resolve));
      daemon.kill('SIGTERM');
      await ended;
    });
    await eventually(
      'udevd answers',
      async () => (await command('udevadm', ['control', '--ping'])).code === 0,
    );
  }
  await host('udevadm trigger --subsystem-match=block; udevadm settle');
}

/** udevd's database of block devices: file name → contents. */
export function udevDatabase(): Record<string, string> {
  const folder = '/run/udev/data';
  if (!existsSync(folder)) return {};
  const names = readdirSync(folder).filter((name) => /^b|^\+bdi/.test(name));
  return Object.fromEntries(names.map((name) => [name, readFileSync(`${folder}/${name}`, 'utf8')]));
}
