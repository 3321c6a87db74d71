/** Where lines of the audit log go besides its file, and how many got there. */

export const OUTPUT_NAMES = ['otlp'] as const;
export type OutputName = (typeof OUTPUT_NAMES)[number];

/**
 * What became of a line: `sent`; `queue_full`, since more came than the receiver took; `rejected` by the receiver; `abandoned`,
 * since it could not be reached before the agent's end.
 */
export const OUTPUT_RESULTS = ['sent', 'queue_full', 'rejected', 'abandoned'] as const;
export type OutputResult = (typeof OUTPUT_RESULTS)[number];

export type OutputCounts = Record<OutputResult, number>;

export interface AuditOutput {
  /** Takes one line without its newline. Never throws, never blocks. */
  take(line: string): void;
  counts(): OutputCounts;
  /** Sends what waits, but does not wait long for a receiver. */
  close(): Promise<void>;
}

export const noCounts = (): OutputCounts => ({ sent: 0, queue_full: 0, rejected: 0, abandoned: 0 });
