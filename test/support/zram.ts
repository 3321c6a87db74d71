/** zram: a disk of another driver, which whoever may read a file of sysfs makes. */
import { existsSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { eventsOfDisk } from './disk-events.js';
import { loadModule } from './kernel-module.js';
import { KERNEL } from './scale.js';

const CONTROL = '/sys/class/zram-control';

/** A shell command that makes one and prints its number. */
export const ADD_ZRAM = `cat ${CONTROL}/hot_add`;

/** A shell command that removes it. */
export const removeZram = (number: number): string => `echo ${number} >${CONTROL}/hot_remove`;

/** Why a test of zram is skipped; false: it is not. A machine of test/vm loads the module that came with its kernel. */
export async function skipWithoutZram(): Promise<string | false> {
  if (!existsSync(CONTROL)) await loadModule('zram');
  if (existsSync(CONTROL)) return false;
  const why = 'this kernel has no zram; every kernel of test/vm has';
  if (KERNEL !== undefined) throw new Error(why);
  return why;
}

/** Of the number that ADD_ZRAM has printed; it is removed after the test, if it is still there. */
export function zramOf(t: TestContext, number: number): { name: string; events: RegExp } {
  const name = `zram${number}`;
  const events = eventsOfDisk(name);
  defer(t, () => {
    if (existsSync(`/sys/block/${name}`)) writeFileSync(`${CONTROL}/hot_remove`, String(number));
  });
  return { name, events };
}
