/** Storms: loop devices cycled and uevent sockets opened faster than a shell can, and what the sockets heard. */
import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { buildTool } from './tool.js';
import { eventually, SLOWNESS } from './wait.js';

/** For what has its number and is not yet sent when a socket is about to be closed: who sends it may have been preempted. */
const GRACE_MS = Math.max(100, 20 * SLOWNESS);

export interface StormTools {
  /** `loop-storm FIRST COUNT CYCLES IMAGE`; prints a LoopStormReport. */
  loopStorm: string;
  /** See startReceivers. */
  receiverStorm: string;
}

export interface LoopStormReport {
  cycles: number;
  /** Command → how often it succeeded, and how often it failed and was tried again. */
  ioctls: Record<string, number>;
  failed: Record<string, number>;
}

/** About a loop disk, a partition of it, or its bdi. */
export interface LoopEvent {
  seqnum: number;
  action: string;
  /** N of loopN. */
  number: number;
  /** It has a SYNTH_UUID: written to a `uevent` file. */
  synthetic: boolean;
}

export interface ReceiverReport {
  /** It was open for every event with first < seqnum <= last. */
  first: number;
  last: number;
  /** It has lost events. */
  overrun: boolean;
  events: LoopEvent[];
}

export interface Judgement {
  /** Every delivery of an owned event to any socket. */
  owned: LoopEvent[];
  /** Those to the witness, which listened before the storm. */
  ownedByWitness: LoopEvent[];
  /** Host events that a socket (0: the witness) was open for and did not get. */
  missing: { receiver: number; seqnum: number }[];
  /** Sockets that have lost events. */
  overruns: number;
  /** Deliveries of the witness's host events that other sockets had to get. */
  checked: number;
}

export async function buildStormTools(t: TestContext): Promise<StormTools> {
  return { loopStorm: await buildTool(t, 'loop-storm'), receiverStorm: await buildTool(t, 'receiver-storm') };
}

/** A new uevent socket of the host every `intervalMs`, each open for `lifetimeMs`; the first, the witness, until the end. */
export async function startReceivers(
  t: TestContext,
  path: string,
  intervalMs: number,
  lifetimeMs: number,
): Promise<{ stop(): Promise<ReceiverReport[]> }> {
  const child = spawn(path, [intervalMs, lifetimeMs, GRACE_MS].map(String), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  // Not `exit`: the document may still be in the pipe.
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const failed = closed.then((code): never => {
    throw new Error(`${path} ended with ${code}: ${stderr}`);
  });
  // Of interest only while it starts.
  failed.catch(() => {});
  defer(t, async () => {
    child.kill('SIGKILL');
    await closed.catch(() => {});
  });
  await Promise.race([eventually('the receivers listen', () => chunks.length > 0), failed]);
  return {
    async stop() {
      child.kill('SIGTERM');
      const code = await closed;
      if (code !== 0) throw new Error(`${path} ended with ${code}: ${stderr}`);
      return parseReports(Buffer.concat(chunks).toString());
    },
  };
}

function parseReports(text: string): ReceiverReport[] {
  type Row = [seqnum: number, action: string, number: number, synthetic: 0 | 1];
  const { receivers } = JSON.parse(text.slice(text.indexOf('\n') + 1)) as {
    receivers: (Omit<ReceiverReport, 'events'> & { events: Row[] })[];
  };
  return receivers.map((receiver) => ({
    ...receiver,
    events: receiver.events.map(([seqnum, action, number, synthetic]) => ({
      seqnum,
      action,
      number,
      synthetic: synthetic === 1,
    })),
  }));
}

/**
 * Holds every socket against the witness, `reports[0]`, and the witness against the others: what one of them has heard,
 * the witness must have heard too.
 */
export function judgeReceivers(
  reports: readonly ReceiverReport[],
  isOwned: (event: LoopEvent) => boolean,
  isHost: (event: LoopEvent) => boolean,
): Judgement {
  const hostSeqnums = reports.map(({ events }) => events.filter(isHost).map(({ seqnum }) => seqnum));
  const witness = (hostSeqnums[0] ?? []).toSorted((a, b) => a - b);
  const { first = 0, last = 0 } = reports[0] ?? {};
  const heardByWitness = new Set(witness);
  const elsewhere = new Set(hostSeqnums.slice(1).flat());
  const missing = [...elsewhere]
    .filter((seqnum) => first < seqnum && seqnum <= last && !heardByWitness.has(seqnum))
    .map((seqnum) => ({ receiver: 0, seqnum }));
  let checked = 0;
  for (const [receiver, report] of reports.entries()) {
    if (receiver === 0) continue;
    // A socket is open for a moment of a long storm: of the witness's events only those are looked at.
    const expected = witness.slice(countUpTo(witness, report.first), countUpTo(witness, report.last));
    const heard = new Set(hostSeqnums[receiver]);
    checked += expected.length;
    for (const seqnum of expected) if (!heard.has(seqnum)) missing.push({ receiver, seqnum });
  }
  return {
    owned: reports.flatMap((report) => report.events.filter(isOwned)),
    ownedByWitness: (reports[0]?.events ?? []).filter(isOwned),
    missing,
    overruns: reports.filter((report) => report.overrun).length,
    checked,
  };
}

/** How many of `sorted` are at most `limit`. */
function countUpTo(sorted: readonly number[], limit: number): number {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] ?? 0) <= limit) from = middle + 1;
    else to = middle;
  }
  return from;
}
