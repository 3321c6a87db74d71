/** The agent's share of the processors: who floods them must not have it fall behind with what it writes down of that. */
import { getPriority, setPriority } from 'node:os';

/** As a daemon of the audit system has it (auditd's priority_boost), and more, since all of the records pass one thread. */
const NICE = -10;

/** Of this thread, and of those and the processes that it starts from now on. Without CAP_SYS_NICE all stays as it is. */
export function raisePriority(): void {
  try {
    if (getPriority() > NICE) setPriority(NICE);
  } catch {
    // Then the unit's own priority counts (Nice=), and what is in the ring for when it falls behind (ring.size_bytes).
  }
}

/** Of a process that serves containers: it is theirs to keep busy. */
export function lowerPriority(pid: number): void {
  try {
    setPriority(pid, 0);
  } catch {
    // It has ended.
  }
}
