/** What a step of the live demo acts with. Whatever it makes is gone after the step, however that ends. */
import { chmodSync, chownSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cleanup, createCleanup } from '../cleanup.js';
import { listLoops } from '../devices/sysfs.js';
import { loadNative } from '../kernel/native.js';
import { type ContainerOptions, type DemoContainer, openContainer } from './container.js';
import type { LiveAgent } from './live-agent.js';
import { run, shell } from './run.js';
import type { UeventMonitor } from './uevent-monitor.js';
import { eventually } from './wait.js';

/** Says what happens to whoever watches. */
export interface Narrator {
  /** As a person would type it; `where`: `host` or `container`. */
  command(where: string, text: string): void;
  /** What it said. */
  output(text: string): void;
  /** What was seen; not `ok`: it should have been otherwise. */
  seen(ok: boolean, text: string): void;
}

export interface Live {
  readonly agent: LiveAgent;
  readonly monitor: UeventMonitor;
  readonly narrator: Narrator;
  readonly stop: AbortSignal;
  /** Of the step. */
  readonly cleanup: Cleanup;
  /** A file for a device; `owner`: of the host's ids. */
  image(name: string, sizeMib?: number, owner?: number): string;
  container(options?: ContainerOptions): Promise<DemoContainer>;
  /** A shell script on the host, told. */
  host(script: string): Promise<string>;
  /** The same in a container. */
  inside(container: DemoContainer, script: string): Promise<string>;
  /** `loopwarden …`, told with its output. @throws if it fails, unless `mayFail` */
  loopwarden(words: readonly string[], mayFail?: boolean): Promise<string>;
}

/** LOOP_CTL_REMOVE of include/uapi/linux/loop.h */
const LOOP_CTL_REMOVE = 0x4c81;
const EBUSY = -16;

export interface LiveOptions {
  folder: string;
  agent: LiveAgent;
  monitor: UeventMonitor;
  narrator: Narrator;
  stop: AbortSignal;
}

/** Runs `act` and then undoes what it made. @throws what it throws, and the reason of `stop` */
export async function actStep(options: LiveOptions, act: (live: Live) => Promise<void>): Promise<void> {
  const { folder, agent, narrator, stop } = options;
  const cleanup = createCleanup();
  const before = new Set(listLoops().map(({ name }) => name));
  const made = new Set<string>();
  // Last of all: what is made on the way is ended before.
  cleanup.add(() => removeDevices([...made].filter((name) => !before.has(name))));
  cleanup.add(() => detachImagesOf(folder, made));

  const checked = async <T>(work: () => Promise<T>): Promise<T> => {
    stop.throwIfAborted();
    const result = await work();
    stop.throwIfAborted();
    return result;
  };
  const note = (output: string): string => {
    for (const [, name = ''] of output.matchAll(/^\/dev\/(loop\d+)$/gm)) made.add(name);
    return output;
  };
  const live: Live = {
    ...options,
    cleanup,
    image(name, sizeMib = 64, owner = 0) {
      const path = join(folder, name);
      writeFileSync(path, '');
      truncateSync(path, sizeMib << 20);
      chmodSync(path, 0o600);
      chownSync(path, owner, owner);
      return path;
    },
    async container(wanted = {}) {
      return checked(async () => {
        const container = await openContainer(wanted);
        cleanup.add(() => container.end());
        return container;
      });
    },
    async host(script) {
      narrator.command('host', script);
      return note(await checked(() => shell(script, { stop })));
    },
    async inside(container, script) {
      narrator.command('container', script);
      return note(await checked(() => container.succeed(script, stop)));
    },
    async loopwarden(words, mayFail = false) {
      narrator.command('host', `loopwarden ${words.join(' ')}`);
      const { code, stdout, stderr } = await checked(() => agent.command(words, stop));
      if (code !== 0 && !mayFail) throw new Error(`loopwarden ${words.join(' ')}: ${stderr.trim()}`);
      const text = (stdout || stderr).trimEnd();
      narrator.output(text);
      return text;
    },
  };
  try {
    await act(live);
  } finally {
    await cleanup.run();
  }
}

/** Whatever device still has a file of the demo's. */
async function detachImagesOf(folder: string, made: Set<string>): Promise<void> {
  for (const { name, backing } of listLoops()) {
    if (!backing?.path.startsWith(`${folder}/`)) continue;
    made.add(name);
    await run('losetup', ['-d', `/dev/${name}`]);
    await eventually(`${name} is detached`, () =>
      listLoops().every((each) => each.name !== name || each.backing === null),
    );
  }
}

/** Those that a search for a free device has made. Somebody may have opened them, udev for one: then a little later. */
async function removeDevices(names: readonly string[]): Promise<void> {
  const native = loadNative();
  for (const name of names) {
    const number = Number(name.slice(4));
    await eventually(
      `${name} is removed`,
      () => native.ioctl('/dev/loop-control', LOOP_CTL_REMOVE, number) !== EBUSY,
    );
  }
}
