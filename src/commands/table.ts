/** Aligned columns for people. */
import { plainText } from './plain-text.js';
import { cutEnd, padEnd, textWidth } from './text-width.js';

/** Columns two spaces apart; cut to the terminal's width if `columns` is given. Ends without a newline. */
export function table(rows: readonly (readonly string[])[], columns?: number): string {
  const clean = rows.map((row) => row.map(plainText));
  const widths = clean.reduce<number[]>(
    (widest, row) => row.map((cell, at) => Math.max(widest[at] ?? 0, textWidth(cell))),
    [],
  );
  return clean
    .map((row) => cut(row.map((cell, at) => pad(cell, row, at, widths)).join('  '), columns))
    .join('\n');
}

/** The terminal's width; undefined when the output goes elsewhere, where nothing is cut. */
export function terminalColumns(): number | undefined {
  return process.stdout.isTTY ? process.stdout.columns : undefined;
}

function pad(cell: string, row: readonly string[], at: number, widths: readonly number[]): string {
  return at === row.length - 1 ? cell : padEnd(cell, widths[at] ?? 0);
}

function cut(line: string, columns: number | undefined): string {
  return columns === undefined ? line : cutEnd(line, columns);
}
