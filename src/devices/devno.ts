/** Device numbers in the kernel's encoding (include/linux/kdev_t.h): major << 20 | minor. */

const MINOR_BITS = 20;
export const LOOP_MAJOR = 7;

export function devnoOf(major: number, minor: number): number {
  return ((major << MINOR_BITS) | minor) >>> 0;
}

/** The number of a loop disk as in its name; `partShift` as in loopPartShift. */
export function loopName(devno: number, partShift: number): string {
  return `loop${(devno & ((1 << MINOR_BITS) - 1)) >>> partShift}`;
}

/** Of a disk of any driver; only a loop disk's number says its name: of another it is `252:0`. */
export function diskName(devno: number, partShift: number): string {
  return isLoop(devno) ? loopName(devno, partShift) : devnoText(devno);
}

export function isLoop(devno: number): boolean {
  return devno >>> MINOR_BITS === LOOP_MAJOR;
}

/** `7:3` */
export function devnoText(devno: number): string {
  return `${devno >>> MINOR_BITS}:${devno & ((1 << MINOR_BITS) - 1)}`;
}

/** From `7:3`; undefined if it is not of that form. */
export function parseDevno(text: string): number | undefined {
  const match = /^(\d+):(\d+)$/.exec(text.trim());
  return match ? devnoOf(Number(match[1]), Number(match[2])) : undefined;
}
