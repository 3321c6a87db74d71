/** What a person ends with Ctrl-C ends well: what was shown is whole, and the terminal as it was. */

export interface Interruption {
  readonly signal: AbortSignal;
  /** Gives the signals back. */
  end(): void;
}

/** Aborts at SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. */
export function awaitInterruption(): Interruption {
  const stop = new AbortController();
  const abort = () => {
    end();
    stop.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const end = () => {
    for (const signal of signals) process.removeListener(signal, abort);
  };
  for (const signal of signals) process.on(signal, abort);
  return { signal: stop.signal, end };
}
