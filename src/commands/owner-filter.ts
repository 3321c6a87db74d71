/** `--owner`: a word, or the number of a user namespace. */
import { createError } from '../errors.js';

export const OWNER_WORDS = ['host', 'userns', 'container', 'orphan', 'unknown'] as const;
type OwnerWord = (typeof OWNER_WORDS)[number];

export type OwnerWish = { word: OwnerWord } | { userns: string };

/** A number is the inum of the namespace (`lsns`), or its id. @throws ERR_USAGE; `words`: those that are taken */
export function parseOwner(text: unknown, words: readonly OwnerWord[] = OWNER_WORDS): OwnerWish | undefined {
  if (text === undefined) return undefined;
  const word = words.find((each) => each === text);
  if (word) return { word };
  if (typeof text === 'string' && /^\d{1,20}$/.test(text)) return { userns: text };
  throw createError('ERR_USAGE', {
    reason: `--owner takes ${words.join(', ')} or the number of a user namespace, not "${String(text).slice(0, 80)}"`,
  });
}
