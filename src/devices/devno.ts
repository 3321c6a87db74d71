/** Device numbers in the kernel's encoding (include/linux/kdev_t.h): major << 20 | minor. */

const MINOR_BITS = 20;
const MINOR_MASK = (1 << MINOR_BITS) - 1;
export const LOOP_MAJOR = 7;

export function devnoOf(major: number, minor: number): number {
  return ((major << MINOR_BITS) | minor) >>> 0;
}

export function majorOf(devno: number): number {
  return devno >>> MINOR_BITS;
}

export function minorOf(devno: number): number {
  return devno & MINOR_MASK;
}

/** From what stat(2) says: glibc's encoding (gnu_dev_major, gnu_dev_minor of sys/sysmacros.h). */
export function devnoOfStat(dev: bigint): number {
  const major = Number(((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n));
  const minor = Number((dev & 0xffn) | ((dev >> 12n) & 0xffffff00n));
  return devnoOf(major, minor);
}

/** The number of a loop disk as in its name; `partShift` as in loopPartShift. */
export function loopName(devno: number, partShift: number): string {
  return `loop${minorOf(devno) >>> partShift}`;
}

/** 3 of `loop3`. */
export function loopNumber(name: string): number {
  return Number(name.slice('loop'.length));
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
  return `${majorOf(devno)}:${minorOf(devno)}`;
}

/** From `7:3`; undefined if it is not of that form. */
export function parseDevno(text: string): number | undefined {
  const match = /^(\d+):(\d+)$/.exec(text.trim());
  return match ? devnoOf(Number(match[1]), Number(match[2])) : undefined;
}
