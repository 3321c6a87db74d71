/** Columns that a user chooses from, as losetup and lsblk have them: `-o NAME,SIZE`, `-o +USERNS`, `--output-all`. */
import { nearestName } from '../config/nearest.js';
import { createError } from '../errors.js';
import type { Colors, Paint } from './color.js';

export interface Column<Row> {
  /** `MAJ:MIN` */
  name: string;
  description: string;
  /** Empty where there is nothing to say. */
  text(row: Row): string;
  /** For JSON, where it is more than the text. */
  value?(row: Row): unknown;
  right?: true;
  /** Its text is a size for people, and its value in bytes. */
  size?: true;
  /** May be cut to fit the terminal, down to so many columns; `path`: in the middle. */
  shrinks?: { to: number; path?: true };
  paint?(row: Row, colors: Colors): Paint | undefined;
}

export interface ColumnChoice {
  output?: unknown;
  outputAll?: unknown;
}

/** In the order asked for. @throws ERR_USAGE for a name that there is not, or that comes twice */
export function chooseColumns<Row>(
  all: readonly Column<Row>[],
  defaults: readonly string[],
  { output, outputAll }: ColumnChoice,
  refused: ReadonlyMap<string, string> = new Map(),
): Column<Row>[] {
  if (outputAll === true) return [...all];
  const text = output === undefined ? '+' : String(output);
  const asked = text.replace(/^\+/, '').split(',').filter(Boolean);
  const names = text.startsWith('+') ? [...defaults, ...asked] : asked;
  if (names.length === 0) throw createError('ERR_USAGE', { reason: '-o needs a column' });
  const chosen = names.map((name) => findColumn(all, name, refused));
  return chosen.filter((column, at) => chosen.indexOf(column) === at);
}

/** `refused`: names that somebody will look for, and why there are none. */
export function findColumn<Row>(
  all: readonly Column<Row>[],
  name: string,
  refused: ReadonlyMap<string, string> = new Map(),
): Column<Row> {
  const found = all.find((column) => column.name === name.toUpperCase());
  if (found) return found;
  const why = refused.get(name.toUpperCase());
  if (why !== undefined) throw createError('ERR_USAGE', { reason: `no column "${name}": ${why}` });
  const names = all.map((column) => column.name);
  const nearest = nearestName(name, names);
  const hint = nearest ? `did you mean ${nearest}?` : `there are ${names.join(', ')}`;
  throw createError('ERR_USAGE', { reason: `no column "${name.slice(0, 80)}": ${hint}` });
}

/** A line for each, for the help and the man page. */
export function columnList(all: readonly Column<never>[]): string[] {
  const width = Math.max(...all.map(({ name }) => name.length));
  return all.map(({ name, description }) => `  ${name.padEnd(width)}  ${description}`);
}
