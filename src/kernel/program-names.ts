/** Names of loaded BPF programs, whoever loaded them. */
import type { BpfLink } from './native.js';

/** The program of bpf/program_list.bpf.c, to be loaded with those of the hooks. */
export const PROGRAM_ITERATOR = 'list_programs';

/** Lines of at most 27 bytes: a hundred thousand programs. */
const LIST_MAX_BYTES = 4 << 20;

export interface ProgramNames {
  /** At most 15 characters; empty if there is none with this id. Ids are not given twice: what was found is remembered. */
  nameOf(id: number): string;
  close(): void;
}

/** Closes `link` with itself. */
export function openProgramNames(link: BpfLink): ProgramNames {
  let names = new Map<number, string>();
  return {
    nameOf(id) {
      if (!names.has(id)) {
        names = parseNames(link.readIterator(LIST_MAX_BYTES).toString('latin1'));
        // Gone meanwhile.
        if (!names.has(id)) names.set(id, '');
      }
      return names.get(id) ?? '';
    },
    close: () => link.close(),
  };
}

/** `ID NAME`, one a line. */
function parseNames(text: string): Map<number, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const match = /^(\d+) (.*)$/.exec(line);
      return match ? [[Number(match[1]), match[2] ?? ''] as const] : [];
    }),
  );
}
