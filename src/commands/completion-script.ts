/** Scripts for shells, from the table of commands. */
import { bashScript } from './bash-completion.js';
import { fishScript } from './fish-completion.js';
import { zshScript } from './zsh-completion.js';

export const COMPLETION_SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript };
