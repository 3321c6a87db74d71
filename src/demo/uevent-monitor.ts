/** `udevadm monitor -k`: what the host's udev hears, seen by a listener like it. */
import { writeFileSync } from 'node:fs';
import { loopPartShift } from '../kernel/settings.js';
import { startBackground } from './run.js';
import { eventually } from './wait.js';

export interface UeventMonitor {
  pid: number;
  /** Of the device, its partitions and its bdi, since the last `catchUp`: `change /devices/virtual/block/loop3`. */
  heard(device: string): string[];
  /** Resolves when everything that the kernel has sent so far is there. `forget`: `heard` begins anew. */
  catchUp(stop: AbortSignal, forget?: boolean): Promise<void>;
  stop(): Promise<void>;
}

/** A device of every host that has nothing to do with loop: what comes before its event has come. */
const MARKER = { file: '/sys/class/mem/null/uevent', path: '/devices/virtual/mem/null' };

export async function startUeventMonitor(stop: AbortSignal): Promise<UeventMonitor> {
  // In a chroot it does nothing unless it is told to.
  const env = { ...process.env, SYSTEMD_IGNORE_CHROOT: '1' };
  const monitor = await startBackground('stdbuf', ['-oL', 'udevadm', 'monitor', '-k'], env);
  let from = 0;
  const lines = (): string[] =>
    monitor
      .stdout()
      .slice(from)
      .split('\n')
      .flatMap((line) => /^KERNEL\[[\d.]+\] +(\S+ +\S+)/.exec(line)?.[1]?.replace(/ +/, ' ') ?? []);
  const markers = (): number => lines().filter((line) => line.endsWith(` ${MARKER.path}`)).length;
  try {
    await eventually('udevadm monitor listens', () => monitor.stdout().includes('KERNEL -'), { stop });
  } catch (error) {
    await monitor.stop();
    throw error;
  }
  return {
    pid: monitor.pid,
    heard(device) {
      const number = Number(device.replace(/^.*loop/, ''));
      const about = new RegExp(`/block/loop${number}(/|$)|/bdi/7:${number << loopPartShift()}$`);
      return lines().filter((line) => about.test(line));
    },
    async catchUp(signal, forget = false) {
      const before = markers();
      writeFileSync(MARKER.file, 'change');
      await eventually('an event of /dev/null arrives at the monitor', () => markers() > before, {
        stop: signal,
      });
      if (forget) from = monitor.stdout().length;
    },
    stop: () => monitor.stop(),
  };
}
