/**
 * Writes src/kernel/abi.ts, the decoder, and bpf/layout_hash.h from the BTF of abi.o, the only description of what
 * crosses between BPF and the agent. Refuses what it cannot describe exactly: holes, bit fields, pointers, floats.
 *
 * `--check` compares with what is there and exits 1 if it differs.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { type Btf, type BtfMember, type BtfType, loadNative } from '../src/kernel/native.js';

const OBJECT = 'dist/bpf/abi.o';
const DECODER = 'src/kernel/abi.ts';
const HASH_HEADER = 'bpf/layout_hash.h';
/** Structs the agent also writes into maps. */
const WRITTEN = new Set(['filter_settings', 'owner_entry', 'receiver_key', 'record_budgets']);
/** Structs of the maps that programs of another version go on with. */
const STATE = new Set(['userns_entry', 'userns_key', 'owner_entry', 'call_entry', 'inflight_entry']);

interface Field {
  name: string;
  offset: number;
  type:
    | { kind: 'integer'; size: number; signed: boolean }
    | { kind: 'struct'; name: string }
    | { kind: 'text'; length: number }
    | { kind: 'words'; length: number };
}
interface Struct {
  name: string;
  size: number;
  fields: Field[];
}
interface Enum {
  name: string;
  values: { name: string; value: number }[];
}

const camel = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
const pascal = (name: string): string => camel(`_${name}`);

function resolved(btf: Btf, id: number): BtfType {
  const type = btf.type(id);
  return ['typedef', 'const', 'volatile', 'restrict', 'type_tag'].includes(type.kind)
    ? resolved(btf, type.type)
    : type;
}

function fieldType(btf: Btf, owner: string, member: BtfMember): { type: Field['type']; size: number } {
  const type = resolved(btf, member.type);
  const where = `${owner}.${member.name}`;
  if (member.bitfieldSize !== 0) throw new Error(`${where}: bit fields do not cross`);
  if (type.kind === 'int' && [2, 4, 8].includes(type.size))
    return { type: { kind: 'integer', size: type.size, signed: type.signed }, size: type.size };
  if (type.kind === 'struct') return { type: { kind: 'struct', name: type.name }, size: type.size };
  if (type.kind === 'array') {
    const element = resolved(btf, type.type);
    if (element.kind === 'int' && element.size === 1)
      return { type: { kind: 'text', length: type.length }, size: type.length };
    if (element.kind === 'int' && element.size === 8)
      return { type: { kind: 'words', length: type.length }, size: type.length * 8 };
  }
  throw new Error(`${where}: a ${type.kind} of ${type.size} bytes has no TypeScript form`);
}

function describeStruct(btf: Btf, type: BtfType): Struct {
  let end = 0;
  const fields = type.members.map((member): Field => {
    const { type: described, size } = fieldType(btf, type.name, member);
    const offset = member.bitOffset / 8;
    if (offset !== end)
      throw new Error(`struct ${type.name}: a hole of ${offset - end} bytes before ${member.name}`);
    end = offset + size;
    return { name: member.name, offset, type: described };
  });
  if (end !== type.size)
    throw new Error(`struct ${type.name}: a hole of ${type.size - end} bytes at its end`);
  return { name: type.name, size: type.size, fields };
}

function describeEnum(type: BtfType): Enum {
  const prefix = `${type.name.toUpperCase()}_`;
  const values = type.values.map(({ name, value }) => {
    if (!name.startsWith(prefix)) throw new Error(`enum ${type.name}: ${name} lacks the prefix ${prefix}`);
    return { name: name.slice(prefix.length), value: Number(value) };
  });
  return { name: type.name, values };
}

function readAbi(btf: Btf): { structs: Struct[]; enums: Enum[] } {
  const structs: Struct[] = [];
  const enums: Enum[] = [];
  for (let id = 1; id <= btf.count; id++) {
    const variable = btf.type(id);
    if (variable.kind !== 'var' || !variable.name.startsWith('abi_')) continue;
    const type = resolved(btf, variable.type);
    if (type.kind === 'struct') structs.push(describeStruct(btf, type));
    else if (type.kind === 'enum') enums.push(describeEnum(type));
    else throw new Error(`${variable.name}: neither a struct nor an enum`);
  }
  return { structs, enums };
}

function typeOf(field: Field): string {
  switch (field.type.kind) {
    case 'integer':
      return field.type.size === 8 ? 'bigint' : 'number';
    case 'struct':
      return pascal(field.type.name);
    case 'text':
      return 'string';
    case 'words':
      return 'bigint[]';
  }
}

function readerOf(field: Field): string {
  const at = field.offset === 0 ? 'at' : `at + ${field.offset}`;
  switch (field.type.kind) {
    case 'integer': {
      const { size, signed } = field.type;
      return `view.get${size === 8 ? 'Big' : ''}${signed ? 'Int' : 'Uint'}${size * 8}(${at}, true)`;
    }
    case 'struct':
      return `read${pascal(field.type.name)}(view, ${at})`;
    case 'text':
      return `readText(view, ${at}, ${field.type.length})`;
    case 'words':
      return `readWords(view, ${at}, ${field.type.length})`;
  }
}

function writerOf(struct: string, field: Field): string {
  if (field.type.kind !== 'integer')
    throw new Error(`struct ${struct}: only integers are written, not ${field.name}`);
  const { size, signed } = field.type;
  const set = `set${size === 8 ? 'Big' : ''}${signed ? 'Int' : 'Uint'}${size * 8}`;
  return `  view.${set}(${field.offset}, value.${camel(field.name)}, true);`;
}

const visible = (struct: Struct): Field[] =>
  struct.fields.filter((field) => !['padding', 'slack', 'reserved'].includes(field.name));

function renderStruct(struct: Struct): string {
  const name = pascal(struct.name);
  const constant = struct.name.toUpperCase();
  const fields = visible(struct);
  const texts = fields.filter((field) => field.type.kind === 'text');
  const lines = [
    `/** \`struct ${struct.name}\` */`,
    `export interface ${name} {`,
    ...fields.map((field) => `  ${camel(field.name)}: ${typeOf(field)};`),
    '}',
    `export const ${constant}_SIZE = ${struct.size};`,
    ...texts.flatMap((field) => {
      const base = `${constant}_${field.name.toUpperCase()}`;
      const length = field.type.kind === 'text' ? field.type.length : 0;
      return [`export const ${base}_OFFSET = ${field.offset};`, `export const ${base}_LENGTH = ${length};`];
    }),
    `export function read${name}(view: DataView, at: number): ${name} {`,
    '  return {',
    ...fields.map((field) => `    ${camel(field.name)}: ${readerOf(field)},`),
    '  };',
    '}',
  ];
  if (WRITTEN.has(struct.name))
    lines.push(
      `export function write${name}(value: ${name}): Buffer {`,
      `  const bytes = Buffer.alloc(${struct.size});`,
      '  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);',
      ...fields.map((field) => writerOf(struct.name, field)),
      '  return bytes;',
      '}',
    );
  return lines.join('\n');
}

function renderEnum({ name, values }: Enum): string {
  const constant = name.toUpperCase();
  const named = values.filter((value) => value.name !== 'COUNT');
  const names = named.map((value) => `  [${value.value}, '${value.name}'],`);
  return [
    `/** \`enum ${name}\` */`,
    `export const ${constant} = {`,
    ...named.map((value) => `  ${value.name}: ${value.value},`),
    '} as const;',
    `export const ${constant}_NAMES: ReadonlyMap<number, string> = new Map([`,
    ...names,
    ']);',
  ].join('\n');
}

function render(structs: Struct[], enums: Enum[], hash: string, stateHash: string): string {
  return `${[
    '/* Generated by scripts/generate-abi.ts from bpf/event.h. Do not edit: npm run generate. */',
    "import { readText, readWords } from './text.js';",
    '',
    '/** Of the layout below; the BPF objects bear the same number. */',
    `export const LAYOUT_HASH = ${hash}n;`,
    '/** Of the sizes of the state: every version of one hash goes on with the same maps. */',
    `export const STATE_HASH = ${stateHash}n;`,
    '',
    ...enums.map((each) => `${renderEnum(each)}\n`),
    ...structs.map((each) => `${renderStruct(each)}\n`),
  ].join('\n')}`;
}

function update(path: string, text: string, check: boolean): boolean {
  let current = '';
  try {
    current = readFileSync(path, 'utf8');
  } catch {
    // Not there yet.
  }
  if (current === text) return true;
  if (check) console.error(`${path} is not what bpf/event.h says: run npm run generate`);
  else writeFileSync(path, text);
  return !check;
}

const btf = loadNative().openBtf(OBJECT);
const { structs, enums } = readAbi(btf);
btf.close();
const digestOf = (layout: unknown): string =>
  createHash('sha256').update(JSON.stringify(layout)).digest('hex').slice(0, 16);
const digest = digestOf({ structs, enums });
// Names may be given to reserved words; what was there before stays where it is, and the sizes stay.
const stateDigest = digestOf(
  structs.filter(({ name }) => STATE.has(name)).map(({ name, size }) => ({ name, size })),
);
const header = `/* Generated by scripts/generate-abi.ts from event.h. Do not edit: npm run generate. */\n#define LAYOUT_HASH 0x${digest}ULL\n`;
const check = process.argv.includes('--check');
const fresh = [
  update(DECODER, render(structs, enums, `0x${digest}`, `0x${stateDigest}`), check),
  update(HASH_HEADER, header, check),
];
process.exitCode = fresh.every(Boolean) ? 0 : 1;
