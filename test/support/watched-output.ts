/** An output of the audit log that gathers and retries as fast as a test wants it, and is closed with the test. */
import type { TestContext } from 'node:test';
import type { AuditOutput } from '../../src/sinks/audit-output.js';
import { defer } from './defer.js';

export interface WatchedTiming {
  gatherMs: number;
  firstRetryMs: number;
  maxRetryMs: number;
  onState: (reason: string | undefined) => void;
}

/** `states`: what `onState` was told, in its order. */
export function watchOutput(
  t: TestContext,
  open: (timing: WatchedTiming) => AuditOutput,
): { output: AuditOutput; states: (string | undefined)[] } {
  const states: (string | undefined)[] = [];
  const output = open({
    gatherMs: 5,
    firstRetryMs: 10,
    maxRetryMs: 40,
    onState: (reason) => states.push(reason),
  });
  defer(t, () => output.close());
  return { output, states };
}
