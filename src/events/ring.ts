/** The ring of events, read in batches. */
import type { BpfMap, NativeAddon } from '../kernel/native.js';
import { type DecodedBatch, decodeBatch } from './decode.js';

/**
 * Longer than WAKEUP_INTERVAL_NS of bpf/emit.bpf.h (10 ms): a record that came without a wake-up waits at most
 * this long.
 */
const DRAIN_DELAY_MS = 12;

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
    // Drain once more after a quiet interval; while records come, each batch sets the next drain.
    timer ??= setTimeout(() => {
      timer = undefined;
      reader.drain();
    }, DRAIN_DELAY_MS);
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
