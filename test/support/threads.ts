/** What each thread of a process may do. */
import { readdirSync, readFileSync } from 'node:fs';

/** Of each thread: its name, what it may have, and whether it can get more. */
export function threadsOf(pid: number): { name: string; permitted: bigint; noNewPrivileges: boolean }[] {
  return readdirSync(`/proc/${pid}/task`).map((task) => {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    const field = (key: string): string => new RegExp(`^${key}:\\t(.*)$`, 'm').exec(status)?.[1] ?? '';
    return {
      name: field('Name'),
      permitted: BigInt(`0x${field('CapPrm')}`),
      noNewPrivileges: field('NoNewPrivs') === '1',
    };
  });
}
