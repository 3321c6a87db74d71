/** The newest event lines, and whoever follows them. */

export interface EventFeed {
  publish(line: string): void;
  recent(limit: number): readonly string[];
  /** How many lines there have been: the number of the newest, the first is 1. */
  published(): number;
  /** Returns what ends the subscription. */
  subscribe(onLine: (line: string) => void): () => void;
  /** Whether somebody would read a line. */
  wanted(): boolean;
}

export function createEventFeed(capacity: number): EventFeed {
  const lines: string[] = [];
  const followers = new Set<(line: string) => void>();
  let next = 0;
  let published = 0;
  return {
    publish(line) {
      published++;
      if (capacity > 0) {
        lines[next] = line;
        next = (next + 1) % capacity;
      }
      for (const onLine of followers) onLine(line);
    },
    recent(limit) {
      const ordered = lines.length < capacity ? lines : [...lines.slice(next), ...lines.slice(0, next)];
      return limit === 0 ? [] : ordered.slice(-limit);
    },
    published: () => published,
    subscribe(onLine) {
      followers.add(onLine);
      return () => followers.delete(onLine);
    },
    wanted: () => capacity > 0 || followers.size > 0,
  };
}
