/** The process that stands for a container: known by its number and the moment of its start. */
import { readFileSync } from 'node:fs';
import type { ContainerProcess } from './state-file.js';

/** Undefined if there is no such process. */
export function identifyProcess(pid: number): ContainerProcess | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

export function isAlive({ pid, startTime }: ContainerProcess): boolean {
  return startTimeOf(pid) === startTime;
}

// proc(5): field 22, counted from behind the command's name, which may hold anything.
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has left its namespaces.
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
