/** Columns of a terminal that a text takes, as far as Unicode's properties tell without a table of widths. */

/** Two columns: East Asian scripts, their punctuation and full-width forms, and what is shown as an emoji. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
/** One, of the same scripts. */
const HALF_WIDTH = /[\uff61-\uffdc\uffe8-\uffee]/;
/** None: they are drawn over the character before. */
const COMBINING = /\p{M}/u;
/** Nearly every text; a glance instead of a walk. */
const NARROW = /^[ -~]*$/;

export function textWidth(text: string): number {
  if (NARROW.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

/** At most `width` columns; a cut text ends in `…`. */
export function cutEnd(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let kept = '';
  let left = width - 1;
  for (const character of text) {
    left -= characterWidth(character);
    if (left < 0) break;
    kept += character;
  }
  return width > 0 ? `${kept}…` : '';
}

/** The same with the cut in the middle: of a path, the end tells most. */
export function cutMiddle(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  const head = Math.floor((width - 1) / 3);
  let tail = '';
  let left = width - 1 - head;
  for (const character of [...text].reverse()) {
    left -= characterWidth(character);
    if (left < 0) break;
    tail = character + tail;
  }
  return `${cutEnd(text, head + 1).replace(/…$/, '')}…${tail}`;
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - textWidth(text))) + text;
}

function characterWidth(character: string): number {
  if (COMBINING.test(character)) return 0;
  return WIDE.test(character) && !HALF_WIDTH.test(character) ? 2 : 1;
}
