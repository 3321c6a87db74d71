/** A map with room for `capacity` entries. What was asked for since it was last passed over stays the longest. */

export interface ClockMap<Key, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): void;
  size(): number;
}

export function createClockMap<Key, Value>(capacity: number): ClockMap<Key, Value> {
  const entries = new Map<Key, { value: Value; used: boolean }>();

  /** The oldest that was not used; each use earns one more round. */
  const evict = (): void => {
    for (const [key, entry] of entries) {
      entries.delete(key);
      if (!entry.used) return;
      entry.used = false;
      entries.set(key, entry);
    }
  };

  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entry.used = true;
      return entry.value;
    },
    set(key, value) {
      if (!entries.has(key) && entries.size >= capacity) evict();
      entries.set(key, { value, used: false });
    },
    size: () => entries.size,
  };
}
