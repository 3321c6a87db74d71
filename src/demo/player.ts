/** Plays the frames of a recording at their times, once or again and again. */
import { setTimeout as delay, setImmediate as yieldTurn } from 'node:timers/promises';
import type { Frame, Recording } from './frame.js';
import { createPass, type Pass } from './pass.js';

export interface PlayOptions {
  speed: number;
  once: boolean;
  stop: AbortSignal;
  /** Now, CLOCK_BOOTTIME in nanoseconds. */
  bootNow: () => bigint;
  /** What it returns is waited for. */
  onFrame: (frame: Frame, pass: Pass) => Promise<void> | void;
}

/** Between two passes. */
const PAUSE_MS = 3000;
/** Node's timers hold no more than 2^31 ms. */
const LONGEST_MS = 60_000;

/** Resolves after the only pass, or when `stop` comes. */
export async function play(recording: Recording, options: PlayOptions): Promise<void> {
  const { speed, once, stop, bootNow, onFrame } = options;
  const { frames } = recording;
  const fromNs = frames[0]?.atNs ?? 0n;
  const diskseqs = diskseqsOf(frames);
  for (let number = 0; !stop.aborted; number++) {
    const pass = createPass({ number, fromNs, startNs: bootNow(), speed, diskseqs });
    for (const frame of frames) {
      await until(pass.timeOf(frame.atNs));
      if (stop.aborted) return;
      await onFrame(frame, pass);
    }
    if (once) return;
    await until(bootNow() + BigInt(Math.round((PAUSE_MS / speed) * 1e6)));
  }

  async function until(timeNs: bigint): Promise<void> {
    // However fast it is: others have their turn.
    await yieldTurn();
    for (;;) {
      const leftMs = Number(timeNs - bootNow()) / 1e6;
      if (leftMs <= 0 || stop.aborted) return;
      await delay(Math.min(Math.ceil(leftMs), LONGEST_MS), undefined, { signal: stop }).catch(() => {});
    }
  }
}

/** How far the numbers of lives go on in one pass: the kernel gives each only once. */
function diskseqsOf(frames: readonly Frame[]): bigint {
  const most = (all: readonly Frame[]): bigint => {
    let number = 0n;
    for (const { loops = [] } of all) for (const { diskseq } of loops) if (diskseq > number) number = diskseq;
    return number;
  };
  const first = frames.findIndex(({ loops }) => loops !== undefined);
  return most(frames) - most(frames.slice(0, first + 1)) + 1n;
}
