/** Colours, where a person sees them: on a terminal, unless NO_COLOR (no-color.org) or --color says otherwise. */

export type Paint = (text: string) => string;

export interface Colors {
  bold: Paint;
  dim: Paint;
  red: Paint;
  green: Paint;
  yellow: Paint;
}

export const COLOR_WORDS = ['auto', 'always', 'never'] as const;

/** For `--color WORD` (undefined: auto). An empty NO_COLOR is none, and `always` outweighs it. */
export function chooseColors(
  word: unknown,
  isTerminal = process.stdout.isTTY === true,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Colors {
  const wanted =
    word === 'always' || (word !== 'never' && isTerminal && !env.NO_COLOR && env.TERM !== 'dumb');
  // What is painted is plain text already; each end takes back only what its beginning has set.
  const paint =
    (begin: number, end: number): Paint =>
    (text) =>
      wanted && text !== '' ? `\u001b[${begin}m${text}\u001b[${end}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    green: paint(32, 39),
    yellow: paint(33, 39),
  };
}
