/** Wall-clock time of a kernel timestamp. */

const SECOND_NS = 1_000_000_000n;

// Lines come in runs of the same second, and making the date is the dear part. One entry: it is only a memo.
let memoNs = 0n;
let memoText = '1970-01-01T00:00:00';

/** RFC 3339 in UTC with nanoseconds: CLOCK_BOOTTIME plus (CLOCK_REALTIME − CLOCK_BOOTTIME), both nanoseconds. */
export function timeText(bootNs: number | bigint, wallOffsetNs: bigint): string {
  const wallNs = (typeof bootNs === 'bigint' ? bootNs : BigInt(bootNs)) + wallOffsetNs;
  let fraction = Number(wallNs - memoNs);
  if (fraction < 0 || fraction >= 1e9) {
    fraction = Number(wallNs % SECOND_NS);
    memoNs = wallNs - BigInt(fraction);
    memoText = new Date(Number(memoNs / 1_000_000n)).toISOString().slice(0, -5);
  }
  return `${memoText}.${String(fraction + 1e9).slice(1)}Z`;
}
