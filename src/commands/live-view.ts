/** A view that is drawn again whenever something has happened, and now and then. */
import { once } from 'node:events';
import { LoopwardenError } from '../errors.js';
import type { ControlClient } from '../web/control-client.js';
import { localTime } from './clock-text.js';
import { awaitInterruption } from './interruption.js';
import { openScreen } from './screen.js';

export interface LiveView {
  draw(): Promise<string>;
  /** What happens is a reason to draw; undefined: only time is. */
  agent?: ControlClient;
  intervalMs: number;
  /** How often; undefined: until SIGINT or SIGTERM. */
  rounds?: number;
}

/** In a storm of events a person reads no faster. */
const LEAST_MS = 250;

/**
 * On a terminal the same screen over and over; elsewhere each text that differs from the one before, with a newline.
 * An agent that goes away is waited for. @throws what the first `draw` throws
 */
export async function showLive({ draw, agent, intervalMs, rounds }: LiveView): Promise<void> {
  const { signal, end } = awaitInterruption();
  const alarm = createAlarm(signal);
  let left = rounds ?? Number.POSITIVE_INFINITY;
  let last: string | undefined;
  let text = await draw();
  const screen = process.stdout.isTTY ? openScreen() : undefined;
  process.stdout.on('resize', alarm.ring);
  try {
    if (agent && left > 1) void ringAtEvents(agent, alarm.ring, intervalMs, signal);
    for (;;) {
      if (screen) screen.show(text);
      else if (text !== last && !process.stdout.write(`${text}\n`)) await drained(signal);
      last = text;
      left--;
      if (left <= 0 || signal.aborted) break;
      await alarm.wait(intervalMs);
      if (signal.aborted) break;
      text = await drawAgain(draw, text);
    }
  } finally {
    process.stdout.removeListener('resize', alarm.ring);
    screen?.close();
    end();
    alarm.stop();
  }
}

async function drawAgain(draw: () => Promise<string>, before: string): Promise<string> {
  try {
    return await draw();
  } catch (error) {
    if (!(error instanceof LoopwardenError) || error.code !== 'ERR_AGENT_NOT_RUNNING') throw error;
    if (!process.stdout.isTTY) return before;
    return `${localTime(Date.now())}: no agent answers any more; waiting for the next one`;
  }
}

async function ringAtEvents(
  agent: ControlClient,
  ring: () => void,
  retryMs: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const _ of agent.stream('/api/v1/events?limit=0&follow=1', signal)) ring();
    } catch {
      // It has gone; the view itself says so.
    }
    if (!signal.aborted) await pause(retryMs, signal);
  }
}

/** One waits, others ring; never sooner than LEAST_MS after it was last heard. */
function createAlarm(signal: AbortSignal) {
  let wake = () => {};
  let rung = false;
  const stopped = new AbortController();
  const anyStop = AbortSignal.any([signal, stopped.signal]);
  return {
    ring() {
      rung = true;
      wake();
    },
    stop: () => stopped.abort(),
    async wait(longestMs: number): Promise<void> {
      await pause(Math.min(LEAST_MS, longestMs), anyStop);
      if (!rung)
        await Promise.race([
          pause(longestMs - LEAST_MS, anyStop),
          new Promise<void>((done) => {
            wake = done;
          }),
        ]);
      rung = false;
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal.addEventListener('abort', done);
  });
}

async function drained(signal: AbortSignal): Promise<void> {
  await once(process.stdout, 'drain', { signal }).catch(() => {});
}
