/** What a person should know beside the answer: on stderr, so that the answer can go into a pipe. */
import { plainText } from './plain-text.js';

export function notice(text: string): void {
  process.stderr.write(`loopwarden: ${plainText(text)}\n`);
}
