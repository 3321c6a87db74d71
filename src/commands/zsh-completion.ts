/** The completion for zsh. */
import {
  type CompletedCommand,
  type CompletedOption,
  completedCommands,
  firstWords,
  groups,
} from './completion-words.js';

export function zshScript(): string {
  const functions = completedCommands().map(commandFunction);
  const groupFunctions = groups().map(({ name, commands }) => {
    const cases = commands.map((each) => `      ${each.name}) ${functionName([name, each.name])} ;;`);
    return `${functionName([name])}() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands=(
${commands.map(commandWord).join('\n')}
      )
      _describe command commands
      ;;
    argument)
      case $words[1] in
${cases.map((each) => `  ${each}`).join('\n')}
      esac
      ;;
  esac
}
`;
  });
  const first = firstWords();
  return `#compdef loopwarden
# zsh completion for loopwarden. Written by: loopwarden completion zsh

_loopwarden_device() {
  local -a devices=(/sys/block/loop*(N:t))
  compadd -a devices
}

${[...functions, ...groupFunctions].join('\n')}
_loopwarden() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C '(- *)'{-h,--help}'[display help]' '(- *)'{-V,--version}'[display the version]' '1:command:->command' '*::argument:->argument'
  case $state in
    command)
      local -a commands=(
${first.map(commandWord).join('\n')}
      )
      _describe command commands
      ;;
    argument)
      case $words[1] in
${first.map(({ name }) => `        ${name}) ${functionName([name])} ;;`).join('\n')}
      esac
      ;;
  esac
}

# Sourced, or loaded by compinit.
if [ "$funcstack[1]" = _loopwarden ]; then
  _loopwarden "$@"
elif (( $+functions[compdef] )); then
  compdef _loopwarden loopwarden
fi
`;
}

function commandFunction({ path, options, values, takes }: CompletedCommand): string {
  const specs = options.map(optionSpec);
  if (takes !== undefined) specs.push(quote(`1:${escapeSpec(takes)}:${action(values, false)}`));
  return `${functionName(path)}() {
  _arguments -s -S \\
${specs.map((spec) => `    ${spec}`).join(' \\\n')}
}
`;
}

function optionSpec({ flags, takes, values, isList, description }: CompletedOption): string {
  const value = takes === undefined ? '' : `:${escapeSpec(takes)}:${action(values, isList)}`;
  const words = quote(`[${escapeSpec(description)}]${value}`);
  const [one = '', other] = flags;
  return other === undefined ? `${one}${words}` : `${quote(`(${one} ${other})`)}{${one},${other}}${words}`;
}

function action(values: CompletedOption['values'], isList: boolean): string {
  if (values === undefined) return ' ';
  if (values === 'file') return '_files';
  if (values === 'device') return '_loopwarden_device';
  if (values === 'command') return '_command_names';
  const words = values.map(escapeSpec).join(' ');
  return isList ? `_sequence compadd - ${words}` : `(${words})`;
}

function commandWord({ name, summary }: { name: string; summary: string }): string {
  return `        ${quote(`${name}:${summary}`)}`;
}

function functionName(path: readonly string[]): string {
  return `_loopwarden_${path.join('_').replaceAll('-', '_')}`;
}

/** What _arguments would take for its own: brackets end a description, colons part the spec. */
function escapeSpec(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
