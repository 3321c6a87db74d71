import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { plainText, rawWord } from '../../src/commands/plain-text.js';
import { cutEnd, cutMiddle, padEnd, textWidth } from '../../src/commands/text-width.js';
import { assertHarmless } from './terminal.js';

test('a wide character is two columns, and a mark over another none', () => {
  const widths = { loop0: 5, 日本: 4, '💿': 2, 'e\u0301': 1, Größe: 5, ｱ: 1, Ａ: 2, 한국: 4, '': 0 };
  for (const [text, width] of Object.entries(widths)) assert.equal(textWidth(text), width, text);
});

test('what is cut has the width asked for at most, and keeps both ends of a path', () => {
  assert.equal(cutMiddle('/var/lib/images/root.img', 15), '/var…s/root.img');
  assert.equal(cutEnd('日本語', 5), '日本…');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 40 }), (text, width) => {
      for (const cut of [cutEnd(text, width), cutMiddle(text, width)]) assert.ok(textWidth(cut) <= width);
      assert.ok(textWidth(padEnd(text, width)) >= width);
    }),
  );
});

test('what cannot be seen is told by its number', () => {
  const shown = {
    'a\u200bb': 'a\\u200bb',
    'a\u00adb': 'a\\u00adb',
    '\u{e0041}': '\\u{e0041}',
    'x\u2060y': 'x\\u2060y',
    '\u3164': '\\u3164',
    '\u202egpj': '\\u202egpj',
  };
  for (const [text, plain] of Object.entries(shown)) assert.equal(plainText(text), plain);
});

test('marks piled upon a letter are cut, and so is a text beyond any path', () => {
  assert.equal(plainText(`a${'\u0301'.repeat(500)}b`), `a${'\u0301'.repeat(4)}…b`);
  assert.equal(plainText('x'.repeat(100_000)).length, 4096);
});

test('a raw word has no blank, and is never nothing', () => {
  assert.deepEqual(['', 'a b', 'a\\b', 'a\u00a0b'].map(rawWord), [
    '""',
    'a\\x20b',
    'a\\x5cb',
    'a\\xc2\\xa0b',
  ]);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.match(rawWord(text), /^\S+$/);
      assertHarmless(rawWord(text), 1, text);
    }),
  );
});
