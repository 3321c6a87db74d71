/** What --help says after the options. */
import type { Command, CommandGroup } from './command.js';

export function helpAfter(command: Command | CommandGroup): string {
  if ('commands' in command) return '';
  const { details = [], examples = [] } = command;
  const paragraphs = details.map((text, at) =>
    text.startsWith(' ') ? text : `${at === 0 ? '' : '\n'}${wrapText(text)}`,
  );
  const shown = examples.flatMap(({ words, what }) => [`  ${what}:`, `    loopwarden ${words}`]);
  return [
    ...(paragraphs.length > 0 ? ['', ...paragraphs] : []),
    ...(shown.length > 0 ? ['', 'Examples:', ...shown] : []),
  ].join('\n');
}

const WIDTH = 80;

/** To 80 columns, at blanks. */
export function wrapText(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= WIDTH)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}
