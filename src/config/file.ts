/** Reads the YAML file into settings that know their line. */
import { closeSync, openSync, readSync } from 'node:fs';
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { createError, reasonOf } from '../errors.js';
import { CONFIG_SECTIONS, findKey } from './keys.js';
import { checkSetting, refuseKey, type Setting } from './setting.js';

/** Larger files are refused: the whole config is a few dozen lines. */
export const MAX_FILE_BYTES = 1_048_576;

interface Source {
  path: string;
  lines: LineCounter;
}

/**
 * The settings of the file in its order; undefined when there is no such file.
 * @throws ERR_CONFIG_UNREADABLE, ERR_CONFIG_SYNTAX, ERR_CONFIG_KEY, ERR_CONFIG_VALUE
 */
export function readConfigFile(path: string): Setting[] | undefined {
  const text = readText(path);
  return text === undefined ? undefined : parseConfig(path, text);
}

/** The same from text; `path` only names it. */
export function parseConfig(path: string, text: string): Setting[] {
  const source = { path, lines: new LineCounter() };
  const root = parseRoot(source, text);
  if (root === null || isEmpty(root)) return [];
  if (!isMap(root)) throw syntaxError(source, root, 'the top level must be sections with keys');
  return pairsOf(source, root).flatMap(({ name, at, value }) => {
    if (!CONFIG_SECTIONS.includes(name)) refuseKey(name, place(source, at));
    if (isEmpty(value)) return [];
    if (!isMap(value)) throw syntaxError(source, value ?? at, `${name} must be a section with keys under it`);
    return pairsOf(source, value).map((pair) => readKey(source, name, pair));
  });
}

function readKey(source: Source, section: string, { name, at, value }: NamedPair): Setting {
  const where = place(source, at);
  const entry = findKey(`${section}.${name}`) ?? refuseKey(`${section}.${name}`, where);
  const { line } = source.lines.linePos(at.range?.[0] ?? 0);
  const placeOf = (item: number | undefined): string => place(source, itemOf(value, item) ?? value ?? at);
  return checkSetting(entry, plainValue(source, value), `${source.path}:${line}`, placeOf);
}

function itemOf(value: Node | null, item: number | undefined): Node | undefined {
  return isSeq(value) && item !== undefined
    ? ((value.items[item] as Node | undefined) ?? undefined)
    : undefined;
}

interface NamedPair {
  name: string;
  at: Node;
  value: Node | null;
}

function pairsOf(source: Source, map: YAMLMap): NamedPair[] {
  return map.items.map((pair: Pair) => {
    const { key, value } = pair as Pair<Node, Node | null>;
    if (!isScalar(key)) throw syntaxError(source, key, 'a key must be plain text');
    return { name: String(key.value), at: key, value };
  });
}

// Only scalars and lists of scalars are values here, so nothing is expanded: an alias bomb is refused at its first alias.
function plainValue(source: Source, node: Node | null): unknown {
  if (node === null) return undefined;
  if (isAlias(node)) throw syntaxError(source, node, 'aliases are not taken');
  if (isScalar(node)) return node.value ?? undefined;
  if (isSeq(node)) return node.items.map((item) => plainValue(source, item as Node));
  throw syntaxError(source, node, 'a value or a list was expected, not keys');
}

function isEmpty(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

function parseRoot(source: Source, text: string): ParsedNode | null {
  try {
    const document = parseDocument(text, {
      lineCounter: source.lines,
      prettyErrors: false,
      logLevel: 'error',
    });
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem === undefined) return document.contents;
    throw createError(
      'ERR_CONFIG_SYNTAX',
      { reason: problem.message },
      { where: placeOf(source, problem.pos[0]) },
    );
  } catch (error) {
    // The parser recurses, so a megabyte of brackets ends its stack.
    if (!(error instanceof RangeError)) throw error;
    throw createError('ERR_CONFIG_SYNTAX', { reason: 'it is nested too deeply' }, { where: source.path });
  }
}

function readText(path: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readBounded(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw createError('ERR_CONFIG_UNREADABLE', { reason: reasonOf(error) }, { where: path, cause: error });
  }
  if (bytes.length > MAX_FILE_BYTES) {
    throw createError('ERR_CONFIG_UNREADABLE', { reason: 'it is larger than 1 MiB' }, { where: path });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw createError('ERR_CONFIG_SYNTAX', { reason: 'it is not UTF-8 text' }, { where: path });
  }
}

// Not readFile: the size of a pipe or of /dev/zero is not known beforehand.
function readBounded(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
    let length = 0;
    while (length < buffer.length) {
      const read = readSync(file, buffer, length, buffer.length - length, null);
      if (read === 0) break;
      length += read;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

function syntaxError(source: Source, node: Node, reason: string): Error {
  return createError('ERR_CONFIG_SYNTAX', { reason }, { where: place(source, node) });
}

function place(source: Source, node: Node): string {
  return placeOf(source, node.range?.[0] ?? 0);
}

function placeOf(source: Source, offset: number): string {
  const { line, col } = source.lines.linePos(offset);
  return `${source.path}:${line}:${col}`;
}
