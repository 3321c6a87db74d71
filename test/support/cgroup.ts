/** Cgroups of the test's own on the running kernel's unified hierarchy. */
import { rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { findCgroup2 } from '../../src/identity/cgroup-hierarchy.js';
import { readMounts } from '../../src/kernel/mountinfo.js';
import { defer } from './defer.js';
import { makeFolders } from './folders.js';
import { eventually } from './wait.js';

export interface TestCgroup {
  /** As in /proc/PID/cgroup. */
  path: string;
  /** Its folder; a process enters by writing to cgroup.procs in it. */
  folder: string;
  id: bigint;
  /** When no process is in it any more. */
  remove(): Promise<void>;
}

export function cgroupMount(): string {
  const mount = findCgroup2(readMounts());
  if (mount === undefined) throw new Error('this host has no cgroup2 mounted');
  return mount;
}

/** Makes the folders that are missing, and removes those after the test. */
export function makeCgroup(t: TestContext, path: string): TestCgroup {
  const folder = join(cgroupMount(), path);
  const made = makeFolders(folder);
  const remove = async (): Promise<void> => {
    for (let next = made.shift(); next !== undefined; next = made.shift()) {
      const each = next;
      await eventually(`${each} is empty`, () => removed(each));
    }
  };
  defer(t, remove);
  return { path, folder, id: statSync(folder, { bigint: true }).ino, remove };
}

function removed(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return false;
    throw error;
  }
}
