/** What a hostile process, file or container may call itself. */
import assert from 'node:assert/strict';

export const HOSTILE_NAMES: Readonly<Record<string, string>> = {
  'an escape sequence': '\u001b[2J\u001b]0;owned\u0007',
  'a C1 control sequence': '\u009b2J',
  'a line break': 'a\nloop0  7:0  1  bound  host',
  'a carriage return': 'secret\rharmless',
  'other line breaks': 'a\u0085b\u2028c\u2029d',
  'a text that runs backwards': '\u202egpj.exe\u202c\u2066x\u2069\u200f',
  'a deleted character': 'a\u007f\bb',
  'half a character': '\ud800x\udc00',
  'what is not seen': 'a\u200bb\u00adc\u2060d\u{e0041}',
  'a letter under a pile of marks': `a${'\u0301'.repeat(500)}`,
  'four kilobytes': 'x'.repeat(4096),
  'bytes that are no UTF-8': Buffer.from([0x61, 0xff, 0xfe, 0xc0, 0x80, 0x62]).toString(),
};

/** Line feeds between lines are the command's own; `lines`: how many lines there may be. */
export function assertHarmless(text: string, lines: number, what: string): void {
  assert.equal(text.split('\n').length, lines, what);
  const steering = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]|\p{M}{6}/u;
  assert.doesNotMatch(text.replaceAll('\n', ''), steering, what);
}
