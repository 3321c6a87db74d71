/** JSON that is asked for again and again; an answer that has not changed is not parsed again. */

export interface Poll {
  /** Ask soon, whenever the next turn is. */
  hurry(): void;
}

export interface PollOptions<View> {
  path: () => string;
  everyMs: number;
  /** Not more often than that, even if hurried. */
  leastMs: number;
  onView: (view: View) => void;
  /** The status; 0: no answer. */
  onFail: (status: number) => void;
}

export function poll<View>({ path, everyMs, leastMs, onView, onFail }: PollOptions<View>): Poll {
  let timer = 0;
  let running = false;
  let hurried = false;
  let etag: string | null = null;
  let notBeforeMs = 0;

  const ask = async (): Promise<void> => {
    running = true;
    hurried = false;
    const startMs = performance.now();
    try {
      const response = await fetch(path(), { signal: AbortSignal.timeout(20_000) });
      if (!response.ok) onFail(response.status);
      else if (etag === null || response.headers.get('etag') !== etag) {
        onView((await response.json()) as View);
        etag = response.headers.get('etag');
      }
    } catch {
      onFail(0);
    }
    running = false;
    const endMs = performance.now();
    // A slow answer is asked for less often: a busy agent has better things to do.
    notBeforeMs = endMs + Math.max(leastMs, (endMs - startMs) * 5);
    plan(hurried ? notBeforeMs - endMs : Math.max(everyMs, notBeforeMs - endMs));
  };

  function plan(ms: number): void {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), ms);
  }

  void ask();
  return {
    hurry() {
      if (hurried) return;
      hurried = true;
      if (!running) plan(Math.max(0, notBeforeMs - performance.now()));
    },
  };
}
