/** Rows under chosen columns: aligned for people, one word each for scripts, objects for programs. */
import type { Colors } from './color.js';
import type { Column } from './column.js';
import { plainText, rawWord } from './plain-text.js';
import { cutEnd, cutMiddle, padEnd, padStart, textWidth } from './text-width.js';

export interface TableStyle {
  headings: boolean;
  colors: Colors;
  /** The terminal's; undefined: nothing is cut. */
  columns: number | undefined;
}

const GAP = 2;
/** A longer cell moves its own line only: one absurd path must not push all lines of a file apart. */
const WIDEST_PADDING = 64;

export function alignedTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { headings, colors, columns: room }: TableStyle,
): string {
  const cells = rows.map((row) => columns.map((column) => plainText(column.text(row)) || '-'));
  const head = columns.map(({ name }) => name);
  const natural = columns.map((_, at) =>
    Math.max(headings ? textWidth(head[at] ?? '') : 0, ...cells.map((row) => textWidth(row[at] ?? ''))),
  );
  const widths = room === undefined ? natural : fit(natural, columns, room);
  const lines = cells.map((row, at) =>
    line(row, columns, widths, room, (cell, column) => {
      const paint = column.paint?.(rows[at] as Row, colors);
      return paint ? paint(cell) : cell;
    }),
  );
  const title = headings ? [line(head, columns, widths, room, (cell) => colors.bold(cell))] : [];
  return [...title, ...lines].join('\n');
}

/** Columns one blank apart, and nothing that a script has to guess: an empty cell is `""`. */
export function rawTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  headings: boolean,
): string {
  const head = headings ? [columns.map(({ name }) => name)] : [];
  const lines = rows.map((row) => columns.map((column) => rawWord(column.text(row))));
  return [...head, ...lines].map((cells) => cells.join(' ')).join('\n');
}

/** Keys as lsblk's: the columns' names in small letters. */
export function objectsOf<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
): Record<string, unknown>[] {
  return rows.map((row) =>
    Object.fromEntries(
      columns.map((column) => [
        column.name.toLowerCase(),
        column.value ? column.value(row) : column.text(row) || null,
      ]),
    ),
  );
}

/** Takes what is too much from those that may shrink, always from the widest. */
function fit(natural: readonly number[], columns: readonly Column<never>[], room: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, width) => sum + width, 0) + GAP * (widths.length - 1) - room;
  while (excess > 0) {
    let widest = -1;
    for (const [at, { shrinks }] of columns.entries()) {
      const width = widths[at] ?? 0;
      if (shrinks && width > shrinks.to && width > (widths[widest] ?? 0)) widest = at;
    }
    if (widest === -1) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess--;
  }
  return widths;
}

function line<Row>(
  cells: readonly string[],
  columns: readonly Column<Row>[],
  widths: readonly number[],
  room: number | undefined,
  paint: (cell: string, column: Column<Row>) => string,
): string {
  let left = room ?? Number.POSITIVE_INFINITY;
  let text = '';
  for (const [at, column] of columns.entries()) {
    const isLast = at === columns.length - 1;
    const width = widths[at] ?? 0;
    const whole = cells[at] ?? '';
    const cell =
      room === undefined ? whole : column.shrinks?.path ? cutMiddle(whole, width) : cutEnd(whole, width);
    const shown = cutEnd(cell, left);
    const padding = Math.min(width, WIDEST_PADDING, left);
    const placed = column.right ? padStart(shown, padding) : isLast ? shown : padEnd(shown, padding);
    // Blanks are not painted: an underline or a background would show them.
    text += placed.replace(shown, () => paint(shown, column));
    left -= textWidth(placed) + GAP;
    if (isLast || left <= 0) break;
    text += ' '.repeat(GAP);
  }
  return text.trimEnd();
}
