/**
 * The numbers of containers' devices. None is given twice until the machine boots again, so that a node that somebody
 * kept can never come to mean another device.
 *
 * The numbers end with the minors, at 2^20 - 1, less where the driver was told to leave room for partitions (max_part):
 * then there are no more devices for containers until a reboot. An instance can use up only its own share (`quota.ts`).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from './replace-file.js';

const MINORS = 1 << 20;

export interface Numbers {
  readonly last: number;
  /** The next one; undefined when all are used up. */
  take(): number | undefined;
  /** This one, if it is one of ours and was never given. */
  takeExactly(number: number): boolean;
  /** How many there are still to give. */
  left(): number;
}

export interface NumbersOptions {
  /** On a file system that a reboot empties. */
  folder: string;
  /** Numbers below are the host's. */
  first: number;
  partShift: number;
}

interface Kept {
  next: number;
  /** Given by name, beyond `next`. */
  ahead: number[];
}

export function openNumbers({ folder, first, partShift }: NumbersOptions): Numbers {
  const path = join(folder, 'numbers');
  const last = (MINORS - 1) >> partShift;
  const kept = read(path);
  let next = Math.max(first, kept.next);
  const ahead = new Set(kept.ahead.filter((number) => number >= next));

  // Written before the number is used: after a crash some may be lost, none can be given twice.
  const keep = (): void => replaceFile(path, JSON.stringify({ next, ahead: [...ahead] } satisfies Kept));

  return {
    last,
    take() {
      while (ahead.delete(next)) next += 1;
      if (next > last) return undefined;
      const number = next;
      next += 1;
      keep();
      return number;
    },
    takeExactly(number) {
      if (number < next || number > last || ahead.has(number)) return false;
      ahead.add(number);
      keep();
      return true;
    },
    left: () => Math.max(0, last - next + 1 - ahead.size),
  };
}

function read(path: string): Kept {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { next: 0, ahead: [] };
    throw error;
  }
}
