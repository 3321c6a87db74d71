/** zram: a disk of another driver, which whoever may read a file of sysfs makes. */
import { existsSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { eventsOfDisk } from './disk-events.js';
import { skipWithout } from './kernel-module.js';

const CONTROL = '/sys/class/zram-control';

/** A shell command that makes one and prints its number. */
export const ADD_ZRAM = `cat ${CONTROL}/hot_add`;

/** A shell command that removes it. */
export const removeZram = (number: number): string => `echo ${number} >${CONTROL}/hot_remove`;

export const skipWithoutZram = (): Promise<string | false> =>
  skipWithout({ name: 'zram', module: 'zram', path: CONTROL });

/** Of the number that ADD_ZRAM has printed; it is removed after the test, if it is still there. */
export function zramOf(t: TestContext, number: number): { name: string; events: RegExp } {
  const name = `zram${number}`;
  const events = eventsOfDisk(name);
  defer(t, () => {
    if (existsSync(`/sys/block/${name}`)) writeFileSync(`${CONTROL}/hot_remove`, String(number));
  });
  return { name, events };
}
