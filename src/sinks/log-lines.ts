/** The lines of one file of the audit log, as bytes, without reading it whole. */
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';

export interface LogLine {
  /** With its newline; without one only the last of a file. */
  bytes: Buffer;
  /** From 1. */
  number: number;
}

const NEWLINE = 0x0a;
/** Ours are much shorter (audit.max_line_bytes); what is longer comes in pieces, each as a line. */
const LONGEST_LINE_BYTES = 4 << 20;

/** Lists of lines, in their order. A name that ends in .gz is decompressed. Rejects with the errno, or zlib's error. */
export async function* readLogLines(path: string): AsyncGenerator<LogLine[]> {
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  const stream = path.endsWith('.gz') ? file.pipe(createGunzip()) : file;
  // A pipe does not pass errors on.
  if (stream !== file) file.on('error', (error) => stream.destroy(error));
  let rest: Buffer = Buffer.alloc(0);
  let number = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const lines: LogLine[] = [];
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
      lines.push({ bytes: bytes.subarray(from, at + 1), number: ++number });
      from = at + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > LONGEST_LINE_BYTES) {
      lines.push({ bytes: rest, number: ++number });
      rest = Buffer.alloc(0);
    }
    yield lines;
  }
  if (rest.length > 0) yield [{ bytes: rest, number: number + 1 }];
}
