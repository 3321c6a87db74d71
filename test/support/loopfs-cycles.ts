/** `losetup -P; mkfs; losetup -d` in many containers at once, as image builds do, and what of it failed. */
import type { MappedContainer } from './mapped-container.js';

export interface CycleContainer extends Pick<MappedContainer, 'run'> {
  image(sizeBytes: number): string;
}

export interface CycleOutcome {
  cycles: number;
  /** The step that failed, and what it said. */
  failures: string[];
}

/** `cycles` in all, `width` of them at once in each container. */
export async function runCycles(
  containers: readonly CycleContainer[],
  cycles: number,
  width = 2,
): Promise<CycleOutcome> {
  const workers = containers.flatMap((container) => Array.from({ length: width }, () => container));
  const each = Math.ceil(cycles / workers.length);
  const texts = await Promise.all(
    workers.map((container) => container.run(cyclesScript(container.image(4 << 20), each))),
  );
  const failures = texts.flatMap((text) => text.split('\n').filter((line) => line !== ''));
  return { cycles: each * workers.length, failures };
}

/** A line for each failure. A device that could not be had is no reason to go without the next cycle. */
const cyclesScript = (image: string, count: number): string => `
i=0; while [ $i -lt ${count} ]; do i=$((i + 1))
  d=$(losetup -P -f --show ${image} 2>&1) || { echo "losetup: $d" | tr '\\n' ' '; echo; continue; }
  e=$(mkfs.ext4 -q $d 2>&1) || { echo "mkfs: $e" | tr '\\n' ' '; echo; }
  e=$(losetup -d $d 2>&1) || { echo "losetup -d: $e" | tr '\\n' ' '; echo; }
done`;
