/** The ring of events, read in batches. */
import type { BpfMap, NativeAddon } from '../kernel/native.js';
import { type DecodedBatch, decodeBatch } from './decode.js';

/**
 * The kernel wakes the reader only for a record that finds the ring empty. So after each wake-up the ring is left to
 * fill for this long: at most one wake-up in that time, however many records, and none is ever left behind.
 */
const GATHER_MS = 2;

export interface EventRing {
  /** Reads what there is now. */
  drain(): number;
  stats(): { availableBytes: number; sizeBytes: number };
  close(): void;
}

/** `onBatch` is called on the event loop, once for each wake-up, in the order of the kernel. */
export function openEventRing(
  native: NativeAddon,
  map: BpfMap,
  onBatch: (batch: DecodedBatch) => void,
): EventRing {
  let timer: NodeJS.Timeout | undefined;
  const reader = native.openRingReader(map, (bytes) => {
    onBatch(decodeBatch(bytes));
    if (timer !== undefined) return;
    reader.pause();
    timer = setTimeout(() => {
      reader.drain();
      timer = undefined;
      reader.resume();
    }, GATHER_MS);
  });
  return {
    drain: () => reader.drain(),
    stats: () => reader.stats(),
    close() {
      clearTimeout(timer);
      reader.close();
    },
  };
}
