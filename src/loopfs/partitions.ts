/**
 * The names of partitions in containers' /dev. Their nodes are in the instance at once, by lookup; the symlinks to them
 * have to be made, and the kernel tells nobody but uevent sockets, of which this process has none: sysfs is read.
 */
import { readdir } from 'node:fs/promises';

const CLASS_BLOCK = '/sys/class/block';
const PARTITION = /^loop(\d{1,7})p\d{1,3}$/;

/** By the number of their disk; of disks without any there is no entry. */
export type PartitionNames = ReadonlyMap<number, readonly string[]>;

/** One reading for all disks: with a thousand devices a millisecond. */
export async function readPartitionNames(): Promise<PartitionNames> {
  const byDisk = new Map<number, string[]>();
  for (const name of await readdir(CLASS_BLOCK)) {
    const number = PARTITION.exec(name)?.[1];
    if (number === undefined) continue;
    const names = byDisk.get(Number(number));
    if (names) names.push(name);
    else byDisk.set(Number(number), [name]);
  }
  return byDisk;
}

export interface PartitionLinks {
  /**
   * Makes and removes what is missing and too much, for the devices that an instance has. Resolves when all is as the
   * latest names say.
   */
  update(numbers: readonly number[], names: PartitionNames): Promise<void>;
}

/** `present`: names that were placed with the instance. */
export function createPartitionLinks(
  present: readonly string[],
  show: (name: string, present: boolean) => Promise<void>,
): PartitionLinks {
  const linked = new Set(present);
  let latest: ReadonlySet<string> | undefined;
  // A container that keeps us waiting is not asked again meanwhile.
  let work: Promise<void> | undefined;

  const apply = async (wanted: ReadonlySet<string>): Promise<void> => {
    for (const name of linked) {
      if (wanted.has(name)) continue;
      linked.delete(name);
      await show(name, false);
    }
    for (const name of wanted) {
      if (linked.has(name)) continue;
      // Once, whatever comes of it: a container that refuses it is not asked four times a second.
      linked.add(name);
      await show(name, true);
    }
  };
  const workOff = async (): Promise<void> => {
    try {
      while (latest) {
        const wanted = latest;
        latest = undefined;
        await apply(wanted);
      }
    } finally {
      work = undefined;
    }
  };

  return {
    update(numbers, names) {
      latest = new Set(numbers.flatMap((number) => names.get(number) ?? []));
      work ??= workOff();
      return work;
    },
  };
}

/** For all instances that are placed, with one reading of sysfs. A container that fails holds up no other. */
export async function updatePartitionLinks(
  placed: readonly { partitions: PartitionLinks; numbers: readonly number[]; name: string }[],
  onError: (error: unknown, what: string) => void,
): Promise<void> {
  if (placed.length === 0) return;
  const names = await readPartitionNames();
  const updates = placed.map(({ partitions, numbers, name }) =>
    partitions.update(numbers, names).catch((error: unknown) => onError(error, name)),
  );
  await Promise.all(updates);
}
