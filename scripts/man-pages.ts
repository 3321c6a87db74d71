/** The man pages, from the table of commands: loopwarden(8), and loopwarden-VERB(8) for each. */
import { COMMANDS } from '../src/commands/catalog.js';
import type { Command, CommandGroup, CommandOption } from '../src/commands/command.js';
import { COMMON_OPTIONS } from '../src/commands/common-options.js';

export interface ManPage {
  /** `loopwarden-devices.8` */
  file: string;
  text: string;
}

type ExitMeaning = readonly (readonly [code: number, words: string])[];

/** `exits`: exit codes in words. */
export function manPages(exits: ExitMeaning): ManPage[] {
  return [mainPage(exits), ...COMMANDS.map((each) => verbPage(each, exits))];
}

const FILES: readonly (readonly [string, string])[] = [
  ['/etc/loopwarden/config.yaml', 'the config; LOOPWARDEN_* variables and flags outweigh it'],
  [
    '/var/log/loopwarden/audit.ndjson',
    'the audit log, a JSON object a line; rotated files end in .N or .N.gz',
  ],
  ['/run/loopwarden/api.sock', 'the socket that the commands use'],
  ['/sys/fs/bpf/loopwarden', 'what outlives the agent'],
];

function mainPage(exits: ExitMeaning): ManPage {
  const lines = [
    ...head('loopwarden', 'audits, tags and hides the loop devices of user namespaces'),
    '.SH SYNOPSIS',
    '.B loopwarden',
    '.I COMMAND',
    '.RI [ OPTIONS ]',
    '.SH DESCRIPTION',
    text(
      'loopwarden is an agent for Linux hosts that run containers. It knows which user namespace, and so which container, owns each loop device; it keeps the host’s udev from hearing of those that a container owns; and it audits every loop ioctl.',
    ),
    '.SH COMMANDS',
    ...COMMANDS.flatMap(({ name, summary }) => [
      '.TP',
      `.BR loopwarden\\-${escapeText(name)} (8)`,
      text(summary),
    ]),
    ...filesAndExits(exits),
    '.SH ENVIRONMENT',
    '.TP',
    '.B NO_COLOR',
    'If it is set and not empty, nothing is coloured, unless with \\-\\-color always.',
    '.TP',
    '.BI LOOPWARDEN_ KEY',
    text('Any key of the config: LOOPWARDEN_FILTER_MODE for filter.mode.'),
    '.SH SEE ALSO',
    seeAlso([...COMMANDS.map(({ name }) => `loopwarden-${name}`), 'losetup', 'udevadm', 'lsblk', 'lsns']),
  ];
  return { file: 'loopwarden.8', text: `${lines.join('\n')}\n` };
}

function verbPage(command: Command | CommandGroup, exits: ExitMeaning): ManPage {
  const name = `loopwarden-${command.name}`;
  const commands = 'commands' in command ? command.commands : [command];
  const words = (each: Command) => ('commands' in command ? `${command.name} ${each.name}` : each.name);
  const lines = [
    ...head(name, command.summary),
    '.SH SYNOPSIS',
    ...commands.flatMap((each, at) => [...(at > 0 ? ['.br'] : []), ...synopsis(words(each), each)]),
    '.SH DESCRIPTION',
    ...('commands' in command
      ? [sentence(command.summary), ...commands.flatMap((each) => subsection(words(each), each))]
      : description(command)),
    ...('commands' in command ? [] : optionSection(command.options)),
    '.SH COMMON OPTIONS',
    ...COMMON_OPTIONS.flatMap(optionEntry),
    ...exampleSection(commands),
    ...filesAndExits(exits),
    '.SH SEE ALSO',
    seeAlso(['loopwarden', ...(SEE_ALSO[command.name] ?? [])]),
  ];
  return { file: `${name}.8`, text: `${lines.join('\n')}\n` };
}

const SEE_ALSO: Readonly<Record<string, readonly string[]>> = {
  devices: ['losetup', 'lsblk', 'lsns'],
  events: ['loopwarden-explain', 'journalctl'],
  explain: ['loopwarden-events', 'loopwarden-devices'],
  filter: ['udevadm'],
  top: ['loopwarden-devices'],
  losetup: ['loopwarden-loopfs', 'losetup'],
  'oci-hook': ['loopwarden-loopfs'],
};

function synopsis(words: string, { argument, optionalArgument, rest }: Command): string[] {
  return [
    `.B loopwarden ${escapeText(words)}`,
    '.RI [ OPTIONS ]',
    ...(argument === undefined ? [] : [`.I ${escapeText(argument)}`]),
    ...(optionalArgument === undefined ? [] : [`.RI [ ${escapeText(optionalArgument)} ]`]),
    ...(rest === undefined ? [] : [`.RB [ \\-\\- ]`, `.I ${escapeText(rest)}\\|.\\|.\\|.`]),
  ];
}

function subsection(words: string, command: Command): string[] {
  const options = command.options ?? [];
  return [`.SS loopwarden ${escapeText(words)}`, ...description(command), ...options.flatMap(optionEntry)];
}

/** Lines that begin with a blank stay as they are. */
function description({ summary, details = [] }: Command): string[] {
  const lines = [sentence(summary)];
  let literal = false;
  for (const paragraph of details) {
    const isLiteral = paragraph.startsWith(' ');
    if (isLiteral !== literal) lines.push(isLiteral ? '.PP\n.nf' : '.fi');
    if (isLiteral) lines.push(escapeText(paragraph));
    else lines.push('.PP', text(paragraph));
    literal = isLiteral;
  }
  return literal ? [...lines, '.fi'] : lines;
}

function optionSection(options: readonly CommandOption[] = []): string[] {
  return options.length === 0 ? [] : ['.SH OPTIONS', ...options.flatMap(optionEntry)];
}

function optionEntry({ flags, description: words }: CommandOption): string[] {
  const shown = flags
    .split(/(<[^>]+>)/)
    .filter(Boolean)
    .map((part) =>
      part.startsWith('<') ? `\\fI${escapeText(part.slice(1, -1))}\\fR` : `\\fB${escapeText(part)}\\fR`,
    );
  return ['.TP', shown.join(''), sentence(words)];
}

function exampleSection(commands: readonly Command[]): string[] {
  const examples = commands.flatMap((each) => each.examples ?? []);
  if (examples.length === 0) return [];
  return [
    '.SH EXAMPLES',
    ...examples.flatMap(({ words, what }) => ['.TP', sentence(what), `.B loopwarden ${escapeText(words)}`]),
  ];
}

function filesAndExits(exits: ExitMeaning): string[] {
  return [
    '.SH EXIT STATUS',
    ...exits.flatMap(([code, words]) => ['.TP', `.B ${code}`, text(words)]),
    '.SH FILES',
    ...FILES.flatMap(([path, words]) => ['.TP', `.I ${escapeText(path)}`, text(words)]),
  ];
}

/** No date and no version: a page changes when what it says does. */
function head(name: string, summary: string): string[] {
  return [
    '.\\" Written by scripts/generate-docs.ts from the table of commands (src/commands/catalog.ts).',
    `.TH ${escapeText(name.toUpperCase())} 8 "" loopwarden "System Administration"`,
    '.SH NAME',
    `${escapeText(name)} \\- ${escapeText(summary)}`,
  ];
}

function seeAlso(names: readonly string[]): string {
  const section = (name: string) => (name === 'udevadm' || name.startsWith('l') ? 8 : 1);
  return names
    .map((name, at) => `.BR ${escapeText(name)} (${section(name)})${at < names.length - 1 ? ' ,' : ''}`)
    .map((line) => line.replace(/ ,$/, ','))
    .join('\n');
}

function sentence(words: string): string {
  const whole = `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
  return text(/[.?!…]$/.test(whole) ? whole : `${whole}.`);
}

/** A new sentence begins on a line of its own, so that roff spaces it. */
function text(words: string): string {
  return words
    .split(/(?<=[.?!:]) (?=[A-Z])/)
    .map((line) => protect(escapeText(line)))
    .join('\n');
}

const CHARACTERS: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  '’': '\\(cq',
  '…': '\\&.\\|.\\|.',
  '“': '\\(lq',
  '”': '\\(rq',
  '→': '\\(->',
  '×': '\\(mu',
};

function escapeText(words: string): string {
  return words.replace(/[\\\-’…“”→×]/g, (character) => CHARACTERS[character] ?? character);
}

/** A dot or an apostrophe at its beginning would make a line a request. */
function protect(line: string): string {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}
