/** Names and paths are chosen by containers: nothing in them may steer a terminal, or be seen as what it is not. */
import { stringText } from '../sinks/json-text.js';

/** More than any path has; of what has no bound of its own. */
const MAX_LENGTH = 4096;
/** A letter has a few marks; hundreds would be drawn over the lines above. */
const PILED_MARKS = /(\p{M}{4})\p{M}+/gu;
/** Invisible ones, too: bidi controls, joiners, tags; and blanks that are none. */
const INVISIBLE = /[\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\u2800\u3164\uffa0]/gu;

/** One line, with escapes (`\u001b`) for what is no visible character; an ordinary name is shown as it is. */
export function plainText(text: string): string {
  const escaped = stringText(text, MAX_LENGTH)
    .slice(1, -1)
    .replace(/\\(["\\])/g, '$1');
  if (/^[ -~]*$/.test(escaped)) return escaped;
  return escaped.replace(INVISIBLE, escapeCharacter).replace(PILED_MARKS, '$1…');
}

/** Of `--raw`: one word, as util-linux writes it: `\x20` for a blank. */
export function rawWord(text: string): string {
  if (text === '') return '""';
  return plainText(text).replace(/\\|\s/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
  );
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const digits = code.toString(16);
  return code > 0xffff ? `\\u{${digits}}` : `\\u${digits.padStart(4, '0')}`;
}
