/** Times of a line of the audit log, by the wall clock as it was set then. */
import type { LineFields } from './line-fields.js';

export interface LineTime {
  /** Milliseconds since 1970. */
  ms: number;
  ns: bigint;
}

/** Undefined for a time that is none. */
export function timeOf({ time }: LineFields): LineTime | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z$/.exec(time ?? '');
  if (match === null) return undefined;
  const secondsMs = Date.parse(`${match[1]}Z`);
  if (Number.isNaN(secondsMs)) return undefined;
  const fraction = match[2] ?? '0';
  return {
    ms: secondsMs + Number(fraction.slice(0, 3)),
    ns: BigInt(secondsMs) * 1_000_000n + BigInt(fraction),
  };
}

/** When the caller began, by the wall clock of the line; undefined where that is not told. */
export function callerStartMs({ boot_ns, caller }: LineFields, { ms }: LineTime): number | undefined {
  if (boot_ns === undefined || caller?.start_boot_ns === undefined) return undefined;
  const agoMs = Number((BigInt(boot_ns) - BigInt(caller.start_boot_ns)) / 1_000_000n);
  return agoMs < 0 || agoMs > ms ? undefined : ms - agoMs;
}
