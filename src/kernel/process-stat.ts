/** proc_pid_stat(5): what tells a process from another one that has its number later. */
import { readFileSync } from 'node:fs';

export interface ProcessStat {
  /** Field 3: `Z` for one that has ended and left its namespaces. */
  state: string;
  /** Field 22: clock ticks (USER_HZ) after boot. */
  startTicks: string;
}

/** Throws as readFileSync: ENOENT, ESRCH when there is no such process. */
export function readProcessStat(pid: number): ProcessStat {
  return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
}

/** `stat`: of /proc/PID/stat; all fields are empty if it is. */
export function parseProcessStat(stat: string): ProcessStat {
  // Field 2 is a name that the process chose, with any brackets in it that it likes.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[3 - 3] ?? '', startTicks: fields[22 - 3] ?? '' };
}
