/** `udevadm monitor -k -p`: what a receiver of the host hears. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { defer, type Scope } from './defer.js';
import { eventually } from './wait.js';

export type Uevent = Record<string, string>;

export interface Monitor {
  pid: number;
  /** About loop devices, their partitions and their bdi, in the order of their arrival. */
  loopEvents(): Uevent[];
  /** Of any device, so far. */
  events(): Uevent[];
  /** Resolves when everything the kernel has sent so far has arrived. */
  catchUp(): Promise<void>;
  stop(): Promise<void>;
}

/** Of loop devices, their partitions and their bdi. */
export const LOOP_PATH = /\/block\/loop|\/bdi\/7:/;
/** Any device of the host that has nothing to do with loop. */
const MARKER = { file: '/sys/class/mem/null/uevent', path: '/devices/virtual/mem/null' };

/** `executable`: a copy of udevadm, to be told apart on the allow-list. */
export async function startMonitor(t: Scope, executable = 'udevadm'): Promise<Monitor> {
  const child = spawn('stdbuf', ['-oL', executable, 'monitor', '-k', '-p'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  defer(t, stop);
  await eventually('the monitor listens', () => text.includes('KERNEL - the kernel uevent'));

  const events = (): Uevent[] =>
    text
      .split('\n\n')
      .filter((block) => block.includes('KERNEL['))
      .map((block) =>
        Object.fromEntries([...block.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, key, value]) => [key, value])),
      );
  const markers = (): number => events().filter((event) => event.DEVPATH === MARKER.path).length;

  return {
    pid: child.pid ?? 0,
    events,
    loopEvents: () => events().filter(({ DEVPATH = '' }) => LOOP_PATH.test(DEVPATH)),
    async catchUp() {
      const before = markers();
      writeFileSync(MARKER.file, 'change');
      await eventually('the marker arrives at the monitor', () => markers() > before);
    },
    stop,
  };
}
