/** The cgroups of a process, while it lives. */
import { readFileSync } from 'node:fs';
import { readProcessStat } from '../kernel/process-stat.js';

export interface ProcessIdentity {
  pid: number;
  startBootNs: bigint;
}

/** A clock tick (USER_HZ), on every architecture that this runs on. */
const TICK_NS = 10_000_000n;

/** One for each hierarchy, as the kernel lists them; undefined if that process has ended. */
export function cgroupPathsOf(who: ProcessIdentity): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${who.pid}/cgroup`, 'utf8');
    // Only now: as long as it is the same process, the text was its own.
    return isStill(who) ? parseCgroups(text) : undefined;
  } catch {
    return undefined;
  }
}

/** `ID:CONTROLLERS:PATH`, one a line; a path may have colons. */
export function parseCgroups(text: string): string[] {
  return text.split('\n').flatMap((line) => /^\d+:[^:]*:(\/.*)$/.exec(line)?.[1] ?? []);
}

function isStill({ pid, startBootNs }: ProcessIdentity): boolean {
  return BigInt(readProcessStat(pid).startTicks) === startBootNs / TICK_NS;
}
