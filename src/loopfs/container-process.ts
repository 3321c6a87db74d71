/** The process that stands for a container: known by its number and the moment of its start. */
import { readProcessStat } from '../kernel/process-stat.js';
import type { ContainerProcess } from './state-file.js';

/** Undefined if there is no such process. */
export function identifyProcess(pid: number): ContainerProcess | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

export function isAlive({ pid, startTime }: ContainerProcess): boolean {
  return startTimeOf(pid) === startTime;
}

function startTimeOf(pid: number): string | undefined {
  try {
    const { state, startTicks } = readProcessStat(pid);
    return state === 'Z' ? undefined : startTicks;
  } catch {
    return undefined;
  }
}
