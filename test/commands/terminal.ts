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
};

/** Line feeds between lines are the command's own; `lines`: how many lines there may be. */
export function assertHarmless(text: string, lines: number, what: string): void {
  assert.equal(text.split('\n').length, lines, what);
  const steering = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u;
  assert.doesNotMatch(text.replaceAll('\n', ''), steering, what);
}
