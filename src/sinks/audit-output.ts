/** Where lines of the audit log go besides its file, and how many got there. */

export const OUTPUT_NAMES = ['journald', 'syslog', 'otlp'] as const;
export type OutputName = (typeof OUTPUT_NAMES)[number];

/**
 * What became of a line: `sent`; `queue_full`, since more came than the receiver took; `rejected` by the receiver, or too long
 * for the way to it; `abandoned`, since it could not be reached before the agent's end.
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

/** How lines get to a receiver of one kind; the queue (output-queue.ts) has all the rest. */
export interface OutputSender<Message> {
  encode(line: string): Message;
  /** Rejects, as if nothing were done, where there is no way to the receiver; when the signal says so, too. */
  deliver(messages: readonly Message[], signal: AbortSignal): Promise<Delivery>;
  close?(): void;
}

export interface Delivery {
  /** How many, from the first on, are done with: taken, or refused for good. The rest is tried again. */
  done: number;
  /** How many of those were refused. */
  rejected: number;
  /** What is wrong, if something is. */
  reason?: string;
  /** The receiver is there, and has no room just now. */
  busy?: boolean;
  /** When it wants to be asked again. */
  retryAfterMs?: number;
}
