/**
 * Reaping: when a device whose owner is dead is to be detached, and how often that is tried. What is in use is never touched, so
 * trying again costs nothing but the look.
 */
import { type DeviceView, ownerIdOf } from '../devices/view.js';
import type { ReapMode } from './reap-modes.js';

export interface Reaping {
  /** Those of the orphans that are due now. To be called with all orphans there are: what is not among them starts anew. */
  due(orphans: readonly DeviceView[], nowMs: number): DeviceView[];
  /** It could not be reaped: later again. True where this reason was not told of this device yet. */
  fail(device: DeviceView, reason: string, nowMs: number): boolean;
}

/** One look may be unlucky: a process can fork past it. */
const LEAST_LOOKS = 2;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 600_000;

interface Candidate {
  sinceMs: number;
  looks: number;
  nextMs: number;
  retryMs: number;
  told: Set<string>;
}

export function createReaping({ mode, graceMs }: { mode: ReapMode; graceMs: number }): Reaping {
  let candidates = new Map<string, Candidate>();
  // A device that a container has made and never used is only removed.
  const isWanted = ({ state }: DeviceView): boolean =>
    mode === 'detach-and-remove' || (mode === 'detach' && state === 'bound');

  return {
    due(orphans, nowMs) {
      const wanted = orphans.filter(isWanted);
      candidates = new Map(
        wanted.map((device) => {
          const known = candidates.get(keyOf(device)) ?? newCandidate(nowMs);
          known.looks++;
          return [keyOf(device), known];
        }),
      );
      return wanted.filter((device) => {
        const candidate = candidates.get(keyOf(device));
        return (
          candidate !== undefined &&
          candidate.looks >= LEAST_LOOKS &&
          nowMs - candidate.sinceMs >= graceMs &&
          nowMs >= candidate.nextMs
        );
      });
    },
    fail(device, reason, nowMs) {
      const candidate = candidates.get(keyOf(device));
      if (candidate === undefined) return true;
      candidate.nextMs = nowMs + candidate.retryMs;
      candidate.retryMs = Math.min(candidate.retryMs * 2, LAST_RETRY_MS);
      const isNew = !candidate.told.has(reason);
      candidate.told.add(reason);
      return isNew;
    },
  };
}

function newCandidate(nowMs: number): Candidate {
  return { sinceMs: nowMs, looks: 0, nextMs: 0, retryMs: FIRST_RETRY_MS, told: new Set() };
}

/** A life of one owner: who comes later has its own grace. */
function keyOf({ devno, diskseq, owner }: DeviceView): string {
  return `${devno}/${diskseq}/${ownerIdOf(owner)}`;
}
