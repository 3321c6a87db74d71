/** Lines waiting for a file, at most so many bytes of them, and how far the one being written has got. */

const NEWLINE = 0x0a;

export interface LineBuffer {
  /** False: there is no room, the line is not taken. */
  push(line: string): boolean;
  isEmpty(): boolean;
  /** The bytes to write next; undefined when all are written. */
  next(): Buffer | undefined;
  /** Notes that so many bytes of `next()` are written; returns how many lines that completed. */
  advance(bytes: number): number;
  /** Goes back to the start of a line that is written in part: it goes whole to another file. */
  rewindLine(): void;
  /** Forgets everything; returns how many lines that were. */
  discard(): number;
}

const FIRST_BYTES = 65_536;

export function createLineBuffer(limitBytes: number): LineBuffer {
  // Lines become bytes at once: a string built of many parts would otherwise be copied twice more.
  let waiting = Buffer.allocUnsafe(FIRST_BYTES);
  let waitingBytes = 0;
  let waitingLines = 0;
  let chunk = Buffer.alloc(0);
  let chunkLines = 0;
  let written = 0;

  function makeRoom(bytes: number): void {
    if (waitingBytes + bytes <= waiting.length) return;
    const larger = Buffer.allocUnsafe(Math.max(waiting.length * 2, waitingBytes + bytes));
    waiting.copy(larger, 0, 0, waitingBytes);
    waiting = larger;
  }

  return {
    push(line) {
      const used = waitingBytes + chunk.length;
      // A UTF-16 unit is at most three bytes, so mostly there is no need to count them.
      let mostBytes = line.length * 3 + 1;
      if (used + mostBytes > limitBytes) {
        mostBytes = Buffer.byteLength(line) + 1;
        if (used + mostBytes > limitBytes) return false;
      }
      makeRoom(mostBytes);
      waitingBytes += waiting.write(line, waitingBytes);
      waiting[waitingBytes++] = NEWLINE;
      waitingLines++;
      return true;
    },
    isEmpty: () => waitingLines === 0 && chunkLines === 0,
    next() {
      if (written === chunk.length) {
        if (waitingLines === 0) return undefined;
        chunk = waiting.subarray(0, waitingBytes);
        chunkLines = waitingLines;
        written = 0;
        waiting = Buffer.allocUnsafe(FIRST_BYTES);
        waitingLines = waitingBytes = 0;
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
      if (written > 0) written = chunk.lastIndexOf(NEWLINE, written - 1) + 1;
    },
    discard() {
      const lines = waitingLines + chunkLines;
      waitingLines = waitingBytes = chunkLines = written = 0;
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
