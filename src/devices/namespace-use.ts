/**
 * Which user namespaces are in use: somebody is in them, or can get into them by a descriptor, a mount, a namespace that they
 * own, or one below them. The rest are dead, though the kernel may keep them: see bpf/namespace_life.bpf.c.
 */
import { readNamespaceWalk, type UsernsEntry } from '../kernel/abi.js';
import type { BpfLink, NativeAddon } from '../kernel/native.js';

/** When a walk over the kernel's tasks and namespaces began, on CLOCK_BOOTTIME, and whether it saw all of them. */
export interface NamespaceWalk {
  startBootNs: bigint;
  complete: boolean;
}

export interface NamespaceUse {
  /** Walks all tasks, network namespaces and known user namespaces: some microseconds for each. */
  walk(): NamespaceWalk;
  close(): void;
}

/** Closes the links, of USERS_ITERATOR and HELD_ITERATOR, with itself. */
export function openNamespaceUse(
  native: Pick<NativeAddon, 'clocks'>,
  { users, held }: { users: BpfLink; held: BpfLink },
): NamespaceUse {
  return {
    walk() {
      const startBootNs = native.clocks().bootNs;
      held.readIterator();
      return { startBootNs, complete: isComplete(users) };
    },
    close() {
      users.close();
      held.close();
    },
  };
}

function isComplete(users: BpfLink): boolean {
  const bytes = users.readIterator();
  return (
    bytes.length > 0 &&
    readNamespaceWalk(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0).complete === 1n
  );
}

/** What is not proven dead is in use: an unknown namespace, one that came after the walk, or a walk that was cut short. */
export function isInUse(entry: UsernsEntry | undefined, { startBootNs, complete }: NamespaceWalk): boolean {
  if (entry === undefined || !complete || entry.level === 0 || entry.address === 0n) return true;
  return entry.usedBootNs >= startBootNs || entry.firstSeenBootNs >= startBootNs;
}
