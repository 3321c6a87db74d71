/** How often an owned device is open, as the kernel counts: descriptors, mounts, its partitions, what is stacked on it. */
import { OPENERS_ENTRY_SIZE, readOpenersEntry } from '../kernel/abi.js';
import type { BpfLink } from '../kernel/native.js';

export interface Openers {
  /** By devno; -1 or absent where it is not known. */
  read(): Map<number, number>;
  close(): void;
}

/** Closes `link`, of OPENERS_ITERATOR, with itself. */
export function openOpeners(link: BpfLink): Openers {
  return {
    read() {
      const bytes = link.readIterator();
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return new Map(
        Array.from({ length: bytes.byteLength / OPENERS_ENTRY_SIZE }, (_, index) => {
          const { devno, openers } = readOpenersEntry(view, index * OPENERS_ENTRY_SIZE);
          return [devno, openers];
        }),
      );
    },
    close: () => link.close(),
  };
}
