/** CLOCK_BOOTTIME without the native addon, which a machine for a demo need not have: as of the start, by a clock that does not jump. */
import { uptime } from 'node:os';

const startNs = BigInt(Math.round(uptime() * 1e9));
const startMark = process.hrtime.bigint();

/** Nanoseconds of CLOCK_BOOTTIME (to a hundredth of a second) and CLOCK_REALTIME. */
export function readBootClock(): { bootNs: bigint; wallNs: bigint } {
  return {
    bootNs: startNs + (process.hrtime.bigint() - startMark),
    wallNs: BigInt(Date.now()) * 1_000_000n,
  };
}
