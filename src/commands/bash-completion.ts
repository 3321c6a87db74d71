/** The completion for bash, without the help of the package bash-completion. */
import {
  type CompletedCommand,
  type CompletedOption,
  completedCommands,
  firstWords,
  groups,
} from './completion-words.js';

export function bashScript(): string {
  const names = firstWords().map(({ name }) => name);
  const groupCases = groups().map(({ name, commands }) => {
    const words = commands.map((each) => each.name).join(' ');
    return `	${name})
		if [ -z "$second" ]; then
			mapfile -t COMPREPLY < <(compgen -W '${words}' -- "$cur")
			return
		fi
		verb="$verb $second"
		;;`;
  });
  return `# bash completion for loopwarden. Written by: loopwarden completion bash

_loopwarden_devices() {
	local path
	for path in /sys/block/loop*; do echo "\${path##*/}"; done
}

# Usage: _loopwarden_list WORDS: names joined by commas, the last of them is under way.
_loopwarden_list() {
	local before=
	case $cur in *,*) before=\${cur%,*}, ;; +*) before=+ ;; esac
	mapfile -t COMPREPLY < <(compgen -P "$before" -W "$1" -- "\${cur#"$before"}")
	compopt -o nospace 2>/dev/null
}

_loopwarden() {
	local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} verb= second= word at
	COMPREPLY=()
	# bash makes three words of --option=value.
	if [ "$cur" = = ]; then cur=; elif [ "$prev" = = ]; then prev=\${COMP_WORDS[COMP_CWORD - 2]}; fi
	for ((at = 1; at < COMP_CWORD; at++)); do
		word=\${COMP_WORDS[at]}
		case $word in
		-* | =) ;;
		*) if [ -z "$verb" ]; then verb=$word; elif [ -z "$second" ]; then second=$word; fi ;;
		esac
	done
	case $verb in
	'')
		mapfile -t COMPREPLY < <(compgen -W '${names.join(' ')} help --help --version' -- "$cur")
		return
		;;
	help)
		mapfile -t COMPREPLY < <(compgen -W '${names.join(' ')}' -- "$cur")
		return
		;;
${groupCases.join('\n')}
	esac
	case $verb in
${completedCommands().map(commandCase).join('\n')}
	esac
}

complete -F _loopwarden loopwarden
`;
}

function commandCase({ path, options, values }: CompletedCommand): string {
  const taking = options.filter(({ takes }) => takes !== undefined);
  const cases = taking.map((option) => `		${option.flags.join(' | ')}) ${valueWords(option)}; return ;;`);
  const flags = options.flatMap((option) => option.flags).join(' ');
  return `	'${path.join(' ')}')
		case $prev in
${cases.join('\n')}
		esac
		case $cur in
		-*) mapfile -t COMPREPLY < <(compgen -W '${flags}' -- "$cur") ;;
		*) ${argumentWords(values)} ;;
		esac
		;;`;
}

function valueWords({ values, isList }: CompletedOption): string {
  // A colon is the end of a word for bash: a name with one cannot be completed so.
  if (isList && Array.isArray(values))
    return `_loopwarden_list '${values.filter((value) => !value.includes(':')).join(' ')}'`;
  return argumentWords(values);
}

function argumentWords(values: CompletedOption['values']): string {
  if (values === undefined) return ':';
  if (values === 'file')
    return 'mapfile -t COMPREPLY < <(compgen -f -- "$cur"); compopt -o filenames 2>/dev/null';
  if (values === 'device') return 'mapfile -t COMPREPLY < <(compgen -W "$(_loopwarden_devices)" -- "$cur")';
  if (values === 'command') return 'mapfile -t COMPREPLY < <(compgen -c -- "$cur")';
  return `mapfile -t COMPREPLY < <(compgen -W '${values.filter((value) => !value.includes(':')).join(' ')}' -- "$cur")`;
}
