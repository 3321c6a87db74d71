/** The ring of events, read in batches, each released when what it says is written. */
import type { BpfMap, NativeAddon } from '../kernel/native.js';
import { type DecodedBatch, decodeBatch, headersOf } from './decode.js';

/**
 * The kernel wakes the reader only for a record that finds the ring empty. So after each wake-up the ring is left to
 * fill for this long: at most one wake-up in that time, however many records, and none is ever left behind.
 */
const GATHER_MS = 2;

export interface EventRing {
  /** Reads what is there, and from then on what comes; resolves with how many records waited. */
  start(): Promise<number>;
  /** Reads what there is now, batch by batch, and resolves when all of it is written and released. */
  readAll(): Promise<number>;
  stats(): { availableBytes: number; unreadBytes: number; sizeBytes: number };
  close(): void;
}

/**
 * `onBatch` is called on the event loop, once for each wake-up, in the order of the kernel. What it returns says when
 * the batch is written: until then it stays in the ring, where an agent that dies leaves it to the next. Nothing is read before `start`.
 */
export function openEventRing(
  native: NativeAddon,
  map: BpfMap,
  onBatch: (batch: DecodedBatch) => Promise<void>,
): EventRing {
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let readBytes = 0;
  let written: Promise<void> = Promise.resolve();
  const reader = native.openRingReader(map, (bytes, _count, end) => {
    // A record takes as many bytes here as in the ring.
    readBytes += bytes.byteLength;
    const done = onBatch(decodeBatch(bytes));
    // In their order, whichever is done first.
    written = Promise.all([written, done]).then(() => {
      if (!closed) reader.release(end);
    });
    if (timer !== undefined) return;
    reader.pause();
    timer = setTimeout(() => {
      timer = undefined;
      reader.resume();
    }, GATHER_MS);
  });
  reader.pause();

  async function readAll(): Promise<number> {
    // What comes meanwhile may never end: this much, and no more.
    const enough = readBytes + reader.stats().unreadBytes;
    let records = 0;
    while (readBytes < enough) {
      const batch = reader.drain();
      if (batch === 0) break;
      records += batch;
      await written;
    }
    await written;
    return records;
  }

  return {
    async start() {
      const records = await readAll();
      if (timer === undefined) reader.resume();
      return records;
    },
    readAll,
    stats: () => reader.stats(),
    close() {
      closed = true;
      clearTimeout(timer);
      reader.close();
    },
  };
}

export interface Gap {
  records: number;
  /** CLOCK_BOOTTIME of the first and of the last of them, nanoseconds. */
  fromBootNs: bigint;
  toBootNs: bigint;
}

/** How many records wait in a ring of another layout, and from when they are: the header is the same in all. */
export function measureGap(native: NativeAddon, map: BpfMap): Gap {
  const gap: Gap = { records: 0, fromBootNs: 0n, toBootNs: 0n };
  const reader = native.openRingReader(map, (bytes) => {
    for (const { bootNs } of headersOf(bytes)) {
      if (gap.records === 0 || bootNs < gap.fromBootNs) gap.fromBootNs = bootNs;
      if (bootNs > gap.toBootNs) gap.toBootNs = bootNs;
      gap.records++;
    }
  });
  while (reader.drain() > 0);
  reader.close();
  return gap;
}
