/**
 * What the audit log puts between its lines: checkpoints, and the change of files. Asked whenever the log is between two
 * chunks of lines; everything it does is one step of writing, so a full disk or a kill finds the log at a step, and each
 * step is fine to go on from.
 */
import type { AuditChain } from './audit-chain.js';
import { readRange } from './chain-end.js';
import type { CheckpointReason } from './checkpoint.js';
import type { LogFile } from './log-file.js';
import type { LogPart } from './log-parts.js';
import {
  isDue,
  planRetention,
  type RotationLimits,
  removeParts,
  rotateFile,
  rotates,
} from './log-rotation.js';

export interface LogStep {
  /** A line to be written before any other. */
  line?: Buffer;
  /** The file that everything is written to from here on. */
  file?: LogFile;
  /** Nothing more goes into this file: another one is coming. */
  hold?: true;
}

export interface LogKeeper {
  /** What is to be done before `waitingBytes` of lines are written; `lost`: lines that could not be, so far. */
  between(file: LogFile, waitingBytes: number, lost: number): Promise<LogStep>;
  /** These lines are being written. */
  add(bytes: Buffer, lines: number): void;
  /** A checkpoint as soon as all lines are written. */
  askStop(): void;
  /** The last checkpoint of this file, now; nothing follows it before `noteSwitch`. */
  askEnd(): void;
  /** The log was rotated by something else, and goes on in another file, which may have something in it. */
  noteSwitch(file: LogFile): void;
  /** Milliseconds until `between` has something to do without any line. */
  wakeInMs(file: LogFile): number | undefined;
}

export interface LogKeeperOptions {
  path: string;
  /** Called when the first line is to be written: until then another agent may be at work. Undefined: no checkpoints. */
  openChain: (() => AuditChain) | undefined;
  /** How long lines wait for a checkpoint. */
  checkpointMs: number;
  limits: RotationLimits;
  onTrouble: (what: string, error: unknown) => void;
}

/** After a rotation that failed. */
const ROTATION_RETRY_MS = 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const NEWLINE = Buffer.from('\n');

export function createLogKeeper(options: LogKeeperOptions): LogKeeper {
  const { path, openChain, checkpointMs, limits, onTrouble } = options;
  let chain: AuditChain | undefined;
  let opened = false;
  let asked: CheckpointReason | undefined;
  /** `ended`: the file has its last checkpoint. `begun`: the new one has its first. `left`: something else has rotated it. */
  let stage: 'ended' | 'begun' | 'left' | undefined;
  let expired: readonly LogPart[] = [];
  let linesBytes: number | undefined;
  let openSinceMs = 0;
  let retryAtMs = Number.NEGATIVE_INFINITY;

  function open(file: LogFile): void {
    opened = true;
    if (openChain === undefined || !file.regular) return;
    const fresh = openChain();
    if (file.torn) fresh.add(NEWLINE, 1);
    if (!rotates(limits)) fresh.setOldest(undefined);
    else if (fresh.oldest() === undefined)
      fresh.setOldest(planRetention(path, { ...limits, keepFiles: 0, keepMs: 0 }).oldest ?? fresh.next());
    chain = fresh;
  }

  /** What somebody else has put there stands in front of our lines. */
  function enter(file: LogFile): void {
    linesBytes = file.sizeBytes;
    if (file.sizeBytes > 0 && chain) readRange({ path, fromByte: 0 }, chain.add);
    if (file.torn) chain?.add(NEWLINE, 1);
  }

  async function rotate(file: LogFile): Promise<LogFile | undefined> {
    try {
      const fresh = await rotateFile(path, file);
      enter(fresh);
      const plan = planRetention(path, limits);
      expired = plan.expired;
      if (chain) chain.setOldest(oldestKept(chain, plan));
      return fresh;
    } catch (error) {
      retryAtMs = performance.now() + ROTATION_RETRY_MS;
      onTrouble('the audit log cannot be rotated', error);
      return undefined;
    }
  }

  /** What somebody else has removed stays missing, until our own retention would have removed it as well. */
  function oldestKept(
    log: AuditChain,
    plan: { expired: readonly LogPart[]; oldest: number | undefined },
  ): number {
    const found = plan.oldest ?? log.next();
    const kept = log.oldest() ?? found;
    if (found <= kept || plan.expired.length > 0) return found;
    onTrouble(
      'files of the audit log are gone that the agent has not removed',
      new Error(`the log begins with checkpoint ${found}, and was kept from ${kept} on`),
    );
    return kept;
  }

  function removeExpired(): void {
    try {
      removeParts(expired);
    } catch (error) {
      onTrouble('an old file of the audit log cannot be removed', error);
    }
    expired = [];
  }

  async function changeFile(file: LogFile, lost: number): Promise<LogStep> {
    const fresh = await rotate(file);
    stage = 'begun';
    // Where it failed, too: it says that the old file goes on.
    return { ...(chain && { line: chain.close('open', lost) }), ...(fresh && { file: fresh }) };
  }

  /** The reason for a checkpoint that is due here. */
  function dueReason(hasWaiting: boolean): CheckpointReason | undefined {
    if (chain === undefined) return undefined;
    if (asked !== undefined && (asked !== 'stop' || !hasWaiting)) {
      const reason = asked;
      asked = undefined;
      if (reason === 'rotate') stage = 'left';
      return reason;
    }
    const isOld = performance.now() - openSinceMs >= checkpointMs;
    return chain.openLines() > 0 && (chain.isFull() || isOld) ? 'interval' : undefined;
  }

  return {
    async between(file, waitingBytes, lost) {
      linesBytes ??= file.sizeBytes;
      if (!opened) {
        if (waitingBytes === 0) return {};
        open(file);
        if (chain) return { line: chain.close('start', lost) };
      }
      if (stage === 'left') return { hold: true };
      if (stage === 'ended') return changeFile(file, lost);
      // Only now: the checkpoint that says which files stay is written.
      if (stage === 'begun') removeExpired();
      stage = undefined;
      if (performance.now() >= retryAtMs && isDue(file, linesBytes, waitingBytes, limits)) {
        if (chain === undefined) return changeFile(file, lost);
        stage = 'ended';
        return { line: chain.close('rotate', lost) };
      }
      const reason = dueReason(waitingBytes > 0);
      return reason && chain ? { line: chain.close(reason, lost) } : {};
    },
    add(bytes, lines) {
      linesBytes = (linesBytes ?? 0) + bytes.length;
      if (chain === undefined) return;
      if (chain.openLines() === 0) openSinceMs = performance.now();
      chain.add(bytes, lines);
    },
    askStop() {
      asked = 'stop';
    },
    askEnd() {
      if (chain !== undefined) asked = 'rotate';
    },
    noteSwitch(file) {
      stage = undefined;
      enter(file);
      if (chain === undefined) return;
      if (!rotates(limits)) chain.setOldest(undefined);
      asked = 'open';
    },
    wakeInMs(file) {
      const times: number[] = [];
      if (chain !== undefined && chain.openLines() > 0)
        times.push(openSinceMs + checkpointMs - performance.now());
      if (limits.ageMs > 0 && linesBytes !== undefined && linesBytes > 0)
        times.push(Math.max(file.madeAtMs + limits.ageMs, retryAtMs) - performance.now());
      if (times.length === 0) return undefined;
      return Math.min(Math.max(0, Math.min(...times)), LONGEST_TIMER_MS);
    },
  };
}
