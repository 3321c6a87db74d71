/** What the kernel says about a container, by one of its processes. */
import { readFileSync, statSync } from 'node:fs';
import { createError, reasonOf } from '../errors.js';
import { readProcessStat } from '../kernel/process-stat.js';

export interface ContainerFacts {
  pid: number;
  /** With the pid it names the process for good: clock ticks after boot, field 22 of /proc/PID/stat. */
  startTicks: number;
  /** The host's ids of the container's root. */
  rootUid: number;
  rootGid: number;
  usernsInum: number;
  mountnsInum: number;
  netnsInum: number;
  /** Of the unified hierarchy if it is in use, else of the devices controller. */
  cgroupPath: string;
}

/** @throws ERR_NO_CONTAINER when there is no such process, or its user namespace maps no root */
export function readContainer(pid: number): ContainerFacts {
  try {
    const folder = `/proc/${pid}`;
    const startTicks = Number(readProcessStat(pid).startTicks);
    const facts = {
      pid,
      startTicks,
      rootUid: rootIdOf(readFileSync(`${folder}/uid_map`, 'latin1')),
      rootGid: rootIdOf(readFileSync(`${folder}/gid_map`, 'latin1')),
      usernsInum: statSync(`${folder}/ns/user`).ino,
      mountnsInum: statSync(`${folder}/ns/mnt`).ino,
      netnsInum: statSync(`${folder}/ns/net`).ino,
      cgroupPath: cgroupOf(readFileSync(`${folder}/cgroup`, 'utf8')),
    };
    // All of it was read of one process, unless the pid has changed hands meanwhile.
    if (Number(readProcessStat(pid).startTicks) !== startTicks) throw new Error('it ended meanwhile');
    return facts;
  } catch (error) {
    throw createError('ERR_NO_CONTAINER', { pid, reason: reasonOf(error) }, { cause: error });
  }
}

/** Lines of: first id inside, first id outside, how many; as seen from our own user namespace. */
function rootIdOf(map: string): number {
  for (const line of map.split('\n')) {
    const [inside, outside] = line.trim().split(/\s+/).map(Number);
    if (inside === 0 && outside !== undefined) return outside;
  }
  throw new Error('its user namespace maps no root');
}

function cgroupOf(text: string): string {
  const lines = text.split('\n');
  const unified = lines.find((line) => line.startsWith('0::'))?.slice(3);
  if (unified !== undefined && unified !== '/') return unified;
  const devices = lines.find((line) => /^\d+:([^:]*,)?devices(,[^:]*)?:/.test(line));
  return devices?.replace(/^\d+:[^:]*:/, '') ?? unified ?? '/';
}
