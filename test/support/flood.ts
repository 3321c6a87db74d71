/** Somebody who makes loop ioctls that change nothing, at full speed (ioctl-flood.c), and what the log says of them. */
import { type SpawnOptions, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import type { AgentProcess, AuditLine } from './agent-process.js';
import { defer } from './defer.js';
import { eventually } from './wait.js';

/** `COMMAND RESULT` → how often. */
export type Counts = Record<string, number>;

export interface Flood {
  /** What it made until it ended by itself. */
  ended: Promise<Counts>;
  /** Ends it. */
  stop(): Promise<Counts>;
}

/** Resolves when all that was counted has its line, a second or two after the last of it. */
export async function settleAggregates(agent: AgentProcess): Promise<void> {
  await eventually('all that was counted is told', async () => {
    const counted = (await agent.metrics()).get('loopwarden_records_total{state="aggregated"}');
    const told = agent
      .audit()
      .reduce((sum, { kind, aggregate }) => sum + (kind === 'aggregate' ? aggregate.count : 0), 0);
    return told === counted;
  });
  await agent.settle();
}

/** `words`: a command that ends in running ioctl-flood. Resolves when it has begun. */
export async function startFlood(
  t: TestContext,
  words: readonly string[],
  stdio: SpawnOptions['stdio'] = ['ignore', 'pipe', 'inherit'],
): Promise<Flood> {
  const [file = '', ...args] = words;
  const child = spawn(file, args, { stdio, detached: true });
  let printed = '';
  const ended = new Promise<Counts>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => (printed += chunk));
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(printed.split('\n')[1] ?? ''));
      else reject(new Error(`${words.join(' ')}: ended with ${code}`));
    });
  });
  // Of interest only to who waits for it.
  ended.catch(() => {});
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // It has ended.
    }
  };
  defer(t, async () => {
    kill('SIGKILL');
    await ended.catch(() => {});
  });
  await Promise.race([new Promise((resolve) => child.stdout?.once('data', resolve)), ended]);
  return {
    ended,
    stop() {
      kill('SIGTERM');
      return ended;
    },
  };
}

/** What the lines tell of ioctls: one by one, and counted. */
export function toldIoctls(lines: readonly AuditLine[]): { recorded: Counts; aggregated: Counts } {
  const told = { recorded: {} as Counts, aggregated: {} as Counts };
  for (const { kind, command, result, aggregate } of lines) {
    const [counts, times] =
      kind === 'ioctl'
        ? [told.recorded, 1]
        : kind === 'aggregate' && aggregate.of === 'ioctl'
          ? [told.aggregated, aggregate.count]
          : [undefined, 0];
    if (counts === undefined) continue;
    const key = `${command} ${result}`;
    counts[key] = (counts[key] ?? 0) + times;
  }
  return told;
}

export const sumOf = (counts: Counts): number => Object.values(counts).reduce((sum, each) => sum + each, 0);

export function addCounts(...all: readonly Counts[]): Counts {
  const sum: Counts = {};
  for (const counts of all)
    for (const [key, count] of Object.entries(counts)) sum[key] = (sum[key] ?? 0) + count;
  return sum;
}

/** produced = delivered + aggregated + what was dropped, by the agent's own metrics. */
export function accountsOf(metrics: ReadonlyMap<string, number>): {
  produced: number;
  told: number;
  dropped: number;
} {
  const records = (state: string): number => metrics.get(`loopwarden_records_total{state="${state}"}`) ?? 0;
  const dropped = ['ring_full', 'inflight_full', 'aggregates_full'].reduce(
    (sum, reason) => sum + (metrics.get(`loopwarden_drops_total{reason="${reason}"}`) ?? 0),
    0,
  );
  return { produced: records('produced'), told: records('delivered') + records('aggregated'), dropped };
}
