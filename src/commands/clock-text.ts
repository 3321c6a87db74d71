/** Times for people: local, as the other tools of the host show them. */
import { uptime } from 'node:os';

const two = (value: number): string => String(value).padStart(2, '0');

/** `2026-11-25 04:40:20`; milliseconds since 1970. */
export function localTime(atMs: number): string {
  const at = new Date(atMs);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** Wall-clock time of a moment of CLOCK_BOOTTIME, both in milliseconds, by the clocks of now. */
export function bootTimeMs(bootMs: number): number {
  // Also counts the time asleep, as CLOCK_BOOTTIME does.
  return Date.now() - uptime() * 1000 + bootMs;
}

/** `3 s`, `4 min`, `2 h`, `5 d`: one unit is enough to compare. */
export function ageText(ageMs: number): string {
  const seconds = Math.max(0, Math.round(ageMs / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
