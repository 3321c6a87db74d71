/** Looks closer at the lines between two checkpoints whose hash is not the signed one: which of them is it? */
import type { Checkpoint } from './checkpoint.js';
import { seqOf } from './checkpoint.js';
import type { LinePlace, Suspect } from './verification-report.js';

export interface BatchLine {
  bytes: Buffer;
  file: string;
  number: number;
}

const MOST_SUSPECTS = 20;

/**
 * Numbers run without a hole within a batch, unless lines were lost, so a hole, a repetition or a step back shows where a
 * line was taken, put in or moved. A line that was changed but kept its number cannot be told from its neighbours. `expected`:
 * the signed checkpoint; undefined if there is none to be trusted.
 */
export function inspectBatch(lines: readonly BatchLine[], expected: Checkpoint | undefined): Suspect[] {
  const suspects: Suspect[] = [];
  const seen = new Set<number>();
  let next = expected?.firstSeq;
  const suspect = (kind: Suspect['kind'], at: LinePlace, words: string): void => {
    if (suspects.length < MOST_SUSPECTS) suspects.push({ kind, at, words });
  };
  for (const line of lines) {
    const seq = seqOf(line.bytes);
    const at = { file: line.file, line: line.number, ...(seq !== undefined && { seq }) };
    if (!isJson(line.bytes)) suspect('edited', at, 'is no line of JSON');
    else if (seq === undefined) suspect('inserted', at, 'has no seq, and the agent wrote none without');
    else if (seen.has(seq)) suspect('inserted', at, `has seq ${seq}, which an earlier line has`);
    else if (next !== undefined && seq < next) suspect('reordered', at, `has seq ${seq} after ${next - 1}`);
    else if (next !== undefined && seq > next) suspect('deleted', at, `has seq ${seq}, expected was ${next}`);
    if (seq === undefined) continue;
    seen.add(seq);
    if (next === undefined || seq >= next) next = seq + 1;
  }
  const last = lines.at(-1);
  if (expected?.lastSeq !== undefined && next !== undefined && next <= expected.lastSeq && last !== undefined)
    suspect(
      'deleted',
      { file: last.file, line: last.number },
      `is followed by none of seq ${next} to ${expected.lastSeq}`,
    );
  return suspects;
}

function isJson(bytes: Buffer): boolean {
  try {
    return typeof JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) === 'object';
  } catch {
    return false;
  }
}
