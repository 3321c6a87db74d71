/** JSON for values of the kernel: 64-bit integers, and strings that a hostile process chose. */

const LARGEST_NUMBER = 2n ** 53n;

/** A JSON number up to 2^53 either way, beyond it a string, since readers would round it. */
export function integerText(value: number | bigint): string {
  if (typeof value === 'number') return numberText(value);
  return value <= LARGEST_NUMBER && value >= -LARGEST_NUMBER ? value.toString() : `"${value}"`;
}

/** An integer as text. */
export function numberText(value: number): string {
  // V8 prints 31-bit integers several times faster than others, which it keeps as doubles; inode numbers of
  // namespaces, of which a line has five, are all just above.
  if (value < 2 ** 31 || value >= 2 ** 53) return String(value);
  const high = Math.floor(value / 1e9);
  return String(high) + String(value - high * 1e9 + 1e9).slice(1);
}

/**
 * A JSON string of at most `limit` UTF-16 units, cut ones end in `…`. Beyond what JSON asks, everything that
 * could break a line or turn a terminal's text around is escaped: C1 controls, U+2028/9, bidi controls.
 */
export function stringText(value: string, limit = 4096): string {
  if (value.length <= limit && PLAIN.test(value)) return `"${value}"`;
  const text = value.length <= limit ? value : cut(value, limit);
  return `"${text.replace(UNSAFE, escapeCharacter)}"`;
}

/** JSON.stringify with 64-bit integers and strings as above. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? bigintValue(item) : item));
  // Outside of strings JSON has none of them.
  return text.replace(UNSAFE_IN_JSON, escapeCharacter);
}

function bigintValue(value: bigint): number | string {
  return value <= LARGEST_NUMBER && value >= -LARGEST_NUMBER ? Number(value) : value.toString();
}

const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is for.
  /["\\\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const UNSAFE_IN_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
// Nearly every string; a test without look-around is the cheapest.
const PLAIN = /^[ !#-[\]-~]*$/;

function escapeCharacter(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function cut(value: string, limit: number): string {
  const last = value.charCodeAt(limit - 2);
  const halfPair = last >= 0xd800 && last <= 0xdbff;
  return `${value.slice(0, halfPair ? limit - 2 : limit - 1)}…`;
}
