/** The iterators: programs that the agent reads lists from, whoever has loaded them. */
import { PROCESS_ITERATOR } from './processes.js';
import { PROGRAM_ITERATOR } from './program-names.js';
import { RECEIVER_ITERATOR } from './receivers.js';

/** Those of bpf/namespace_life.bpf.c. The first two mark what they find in use; the third lists stamps of what was freed. */
export const USERS_ITERATOR = 'mark_namespace_users';
export const HELD_ITERATOR = 'mark_held_namespaces';
export const STAMPS_ITERATOR = 'list_freed_stamps';
export const OPENERS_ITERATOR = 'list_openers';

export const ITERATORS = [
  RECEIVER_ITERATOR,
  PROCESS_ITERATOR,
  PROGRAM_ITERATOR,
  USERS_ITERATOR,
  HELD_ITERATOR,
  STAMPS_ITERATOR,
  OPENERS_ITERATOR,
] as const;

export type IteratorName = (typeof ITERATORS)[number];

/** The map whose elements an iterator walks; the others walk what the kernel has. */
export const ITERATED_MAPS: Partial<Record<IteratorName, string>> = {
  [HELD_ITERATOR]: 'userns',
  [STAMPS_ITERATOR]: 'userns_stamps',
  [OPENERS_ITERATOR]: 'owners',
};
