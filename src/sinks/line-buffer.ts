/** Lines waiting for a file, at most so many bytes of them, and how far the one being written has got. */

const NEWLINE = 0x0a;

export interface LineBuffer {
  /** False: there is no room, the line is not taken. */
  push(line: string): boolean;
  isEmpty(): boolean;
  /** Whether `next()` would begin with new lines, and none is written in part. */
  isBetween(): boolean;
  /** Bytes of the lines that `next()` would then give. */
  waitingBytes(): number;
  /** Puts a line of the log's own, with its newline, in front of what waits; only between, and always taken. */
  insert(line: Buffer): void;
  /** The bytes to write next; undefined when all are written. */
  next(): Buffer | undefined;
  /** Notes that so many bytes of `next()` are written; returns how many lines that completed. */
  advance(bytes: number): number;
  /** Lines of `next()` that are not written whole yet. */
  chunkLines(): number;
  /** Goes back to the start of a line that is written in part, so that it goes whole to another file; returns how many bytes. */
  rewindLine(): number;
  /** Forgets everything; returns how many lines that were. */
  discard(): number;
}

const FIRST_BYTES = 65_536;
/** What gathered while a file took nothing is written in pieces, between which the log can be rotated. */
const CHUNK_BYTES = 262_144;

export function createLineBuffer(limitBytes: number): LineBuffer {
  // Lines become bytes at once: a string built of many parts would otherwise be copied twice more.
  let waiting = Buffer.allocUnsafe(FIRST_BYTES);
  /** Of what is used of it, the part that waits. */
  let from = 0;
  let to = 0;
  let waitingLines = 0;
  let chunk: Buffer = Buffer.alloc(0);
  let chunkLines = 0;
  let written = 0;

  function makeRoom(bytes: number): void {
    if (to + bytes <= waiting.length) return;
    const larger = Buffer.allocUnsafe(Math.max(waiting.length * 2, to - from + bytes));
    waiting.copy(larger, 0, from, to);
    waiting = larger;
    to -= from;
    from = 0;
  }

  function takeChunk(): void {
    const all = waiting.subarray(from, to);
    written = 0;
    if (all.length <= CHUNK_BYTES) {
      chunk = all;
      chunkLines = waitingLines;
      waiting = Buffer.allocUnsafe(FIRST_BYTES);
      waitingLines = from = to = 0;
      return;
    }
    const end = all.lastIndexOf(NEWLINE, CHUNK_BYTES - 1);
    chunk = all.subarray(0, (end === -1 ? all.indexOf(NEWLINE) : end) + 1);
    chunkLines = countLines(chunk);
    waitingLines -= chunkLines;
    from += chunk.length;
  }

  return {
    push(line) {
      const used = to - from + chunk.length;
      // A UTF-16 unit is at most three bytes, so mostly there is no need to count them.
      let mostBytes = line.length * 3 + 1;
      if (used + mostBytes > limitBytes) {
        mostBytes = Buffer.byteLength(line) + 1;
        if (used + mostBytes > limitBytes) return false;
      }
      makeRoom(mostBytes);
      to += waiting.write(line, to);
      waiting[to++] = NEWLINE;
      waitingLines++;
      return true;
    },
    isEmpty: () => waitingLines === 0 && chunkLines === 0,
    isBetween: () => written === chunk.length,
    waitingBytes: () => Math.min(to - from, CHUNK_BYTES),
    insert(line) {
      chunk = line;
      chunkLines = 1;
      written = 0;
    },
    chunkLines: () => chunkLines,
    next() {
      if (written === chunk.length) {
        if (waitingLines === 0) return undefined;
        takeChunk();
      }
      return chunk.subarray(written);
    },
    advance(bytes) {
      const end = written + bytes;
      const lines = end === chunk.length ? chunkLines : countLines(chunk.subarray(written, end));
      chunkLines -= lines;
      written = end;
      if (written === chunk.length) {
        chunk = Buffer.alloc(0);
        written = 0;
      }
      return lines;
    },
    rewindLine() {
      const before = written;
      if (written > 0) written = chunk.lastIndexOf(NEWLINE, written - 1) + 1;
      return before - written;
    },
    discard() {
      const lines = waitingLines + chunkLines;
      waitingLines = from = to = chunkLines = written = 0;
      chunk = Buffer.alloc(0);
      return lines;
    },
  };
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}
