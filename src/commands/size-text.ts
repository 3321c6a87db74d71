/** Sizes as lsblk shows them: `1.5G`. */

const UNITS = 'BKMGTPE';

export function sizeText(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  // Ten of the next unit have no need of a fraction, and 1023.96 is no "1024.0".
  const text = value < 10 && !Number.isInteger(value) ? value.toFixed(1) : String(Math.round(value));
  return `${text}${UNITS[unit]}`;
}
