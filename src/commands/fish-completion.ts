/** The completion for fish. */
import {
  type CompletedCommand,
  type CompletedOption,
  completedCommands,
  firstWords,
  groups,
} from './completion-words.js';

export function fishScript(): string {
  const lines = [
    '# fish completion for loopwarden. Written by: loopwarden completion fish',
    '',
    'function __loopwarden_devices',
    "    for path in /sys/block/loop*; string replace /sys/block/ '' $path; end",
    'end',
    '',
    'complete -c loopwarden -f',
  ];
  for (const { name, summary } of firstWords())
    lines.push(`complete -c loopwarden -n __fish_use_subcommand -a ${name} -d ${quote(summary)}`);
  for (const { name, commands } of groups()) {
    const names = commands.map((each) => each.name).join(' ');
    const here = quote(`__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${names}`);
    for (const each of commands)
      lines.push(`complete -c loopwarden -n ${here} -a ${each.name} -d ${quote(each.summary)}`);
  }
  for (const command of completedCommands()) lines.push('', ...commandLines(command));
  return `${lines.join('\n')}\n`;
}

function commandLines({ path, options, values }: CompletedCommand): string[] {
  const here = quote(path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and '));
  const begin = `complete -c loopwarden -n ${here}`;
  const argument = words(values);
  return [
    ...options.map(
      (option) => `${begin}${flagWords(option)}${valueWords(option)} -d ${quote(option.description)}`,
    ),
    ...(argument === '' ? [] : [`${begin} ${argument}`]),
  ];
}

function flagWords({ flags }: CompletedOption): string {
  return flags
    .map((flag) => (flag.startsWith('--') ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`))
    .join('');
}

function valueWords({ takes, values, isList }: CompletedOption): string {
  if (takes === undefined) return '';
  if (isList && Array.isArray(values)) return ` -x -a ${quote(`(__fish_append , ${values.join(' ')})`)}`;
  const known = words(values);
  return known === '' ? ' -x' : values === 'file' ? ` -r ${known}` : ` -x ${known}`;
}

function words(values: CompletedOption['values']): string {
  if (values === undefined) return '';
  if (values === 'file') return '-F';
  if (values === 'device') return `-a ${quote('(__loopwarden_devices)')}`;
  if (values === 'command') return `-a ${quote('(__fish_complete_command)')}`;
  return `-a ${quote(values.join(' '))}`;
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
