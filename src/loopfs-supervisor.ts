/**
 * Keeps a process of loopfs running: beside the agent, not in it, and in a session of its own, so that a kill of the agent
 * leaves containers their devices. One that is there already is left as it is, and replaced when it goes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { CONFIG_KEYS } from './config/keys.js';
import type { Config } from './config/schema.js';
import { reasonOf } from './errors.js';
import { PACKAGE_ROOT } from './kernel/paths.js';
import { lowerPriority } from './kernel/priority.js';
import { isAnswered } from './web/control-socket.js';

export interface LoopfsSupervisor {
  /** Ends the process, if it is ours: instances are left to the next one. */
  stop(): Promise<void>;
}

/** How often a process that is not ours is looked for. */
const WATCH_MS = 1000;
const BACK_OFF_LEAST_MS = 500;
const BACK_OFF_MOST_MS = 30_000;
/** After so long the next end is the first again. */
const STEADY_MS = 60_000;
/** It answers its last calls first. */
const STOP_MS = 10_000;

/** What the process must have as the agent has it, wherever that came from. */
const SECTIONS: readonly string[] = ['loopfs', 'api', 'log'];

export function superviseLoopfs(config: Config, log: Logger): LoopfsSupervisor {
  const stopping = new AbortController();
  const { signal } = stopping;
  let child: ChildProcess | undefined;

  const run = async (): Promise<void> => {
    let backOffMs = BACK_OFF_LEAST_MS;
    while (!signal.aborted) {
      await whileAnswered(config.loopfs.socket, signal, () => log.info('loopfs is served already'));
      if (signal.aborted) return;
      const startMs = performance.now();
      child = start(config);
      if (child.pid !== undefined) lowerPriority(child.pid);
      log.info({ pid: child.pid }, 'loopfs started');
      const how = await endOf(child);
      child = undefined;
      if (signal.aborted) return;
      if (performance.now() - startMs > STEADY_MS) backOffMs = BACK_OFF_LEAST_MS;
      log.error({ ...how, againInMs: backOffMs }, 'loopfs ended');
      await pause(backOffMs, signal);
      backOffMs = Math.min(backOffMs * 2, BACK_OFF_MOST_MS);
    }
  };
  const running = run();

  return {
    async stop() {
      stopping.abort();
      child?.kill('SIGTERM');
      const timer = setTimeout(() => child?.kill('SIGKILL'), STOP_MS);
      await running;
      clearTimeout(timer);
    },
  };
}

function start({ loopfs, api, log }: Config): ChildProcess {
  const sections: Record<string, Record<string, unknown>> = { loopfs, api, log };
  const settings = CONFIG_KEYS.filter(({ section }) => SECTIONS.includes(section)).map(
    ({ envName, section, name }) => [envName, String(sections[section]?.[name])],
  );
  return spawn(process.execPath, [join(PACKAGE_ROOT, 'dist/main.js'), 'loopfs', 'serve'], {
    detached: true,
    // The agent's stdout may be the audit log.
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...Object.fromEntries(settings) },
  });
}

type End = { code: number | null; signal: NodeJS.Signals | null } | { reason: string };

function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', (error) => resolve({ reason: reasonOf(error) }));
  });
}

async function whileAnswered(path: string, signal: AbortSignal, onFound: () => void): Promise<void> {
  let found = false;
  while (!signal.aborted && (await isAnswered(path))) {
    if (!found) onFound();
    found = true;
    await pause(WATCH_MS, signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // Aborted is as good as over: the caller looks.
  await delay(ms, undefined, { signal }).catch(() => {});
}
