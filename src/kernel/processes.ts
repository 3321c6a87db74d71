/** The user namespace of each process of the host, under the id that the programs know it by. */
import { PROCESS_ENTRY_SIZE, readProcessEntry } from './abi.js';
import type { BpfLink } from './native.js';

/** The program of bpf/process_list.bpf.c, to be loaded with those of the hooks. */
export const PROCESS_ITERATOR = 'list_processes';

/** Entries of 24 bytes: far more processes than a kernel has room for by default (kernel.pid_max). */
const LIST_MAX_BYTES = 128 << 20;

export interface Processes {
  /** The id of the user namespace with this inum; undefined if no process is in it. Walks all processes. */
  usernsOf(inum: number): bigint | undefined;
  close(): void;
}

/** Closes `link` with itself. */
export function openProcesses(link: BpfLink): Processes {
  return {
    usernsOf(inum) {
      const bytes = link.readIterator(LIST_MAX_BYTES);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = 0; at + PROCESS_ENTRY_SIZE <= bytes.byteLength; at += PROCESS_ENTRY_SIZE) {
        const { userns, usernsInum } = readProcessEntry(view, at);
        if (usernsInum === inum) return userns;
      }
      return undefined;
    },
    close: () => link.close(),
  };
}
