/** The cgroups of a process, while it lives. */
import type { NativeAddon } from '../kernel/native.js';
import { parseProcessStat } from '../kernel/process-stat.js';

export interface ProcessIdentity {
  pid: number;
  startBootNs: bigint;
}

/** A clock tick (USER_HZ), on every architecture that this runs on. */
const TICK_NS = 10_000_000n;

type ProcessView = Pick<NativeAddon, 'processText'>;

/** One for each hierarchy, as the kernel lists them; undefined if that process has ended. */
export function cgroupPathsOf(native: ProcessView, who: ProcessIdentity): string[] | undefined {
  const text = native.processText(who.pid, 'cgroup');
  // Only now: as long as it is the same process, the text was its own.
  return isStill(native, who) ? parseCgroups(text) : undefined;
}

/** `ID:CONTROLLERS:PATH`, one a line; a path may have colons. */
export function parseCgroups(text: string): string[] {
  return text.split('\n').flatMap((line) => /^\d+:[^:]*:(\/.*)$/.exec(line)?.[1] ?? []);
}

function isStill(native: ProcessView, { pid, startBootNs }: ProcessIdentity): boolean {
  const { startTicks } = parseProcessStat(native.processText(pid, 'stat'));
  return startTicks !== '' && BigInt(startTicks) === startBootNs / TICK_NS;
}
