/** The newest of many, in bounded memory. */

export interface Latest<Item> {
  add(item: Item): void;
  /** Oldest first; empties it. */
  take(): Item[];
  /** How many were pushed out. */
  dropped(): number;
}

/** `capacity` undefined: all of them. */
export function createLatest<Item>(capacity = Number.POSITIVE_INFINITY): Latest<Item> {
  let items: Item[] = [];
  let next = 0;
  let dropped = 0;
  return {
    add(item) {
      if (items.length < capacity) {
        items.push(item);
        return;
      }
      dropped++;
      if (capacity === 0) return;
      items[next] = item;
      next = (next + 1) % capacity;
    },
    take() {
      const ordered = [...items.slice(next), ...items.slice(0, next)];
      items = [];
      next = 0;
      return ordered;
    },
    dropped: () => dropped,
  };
}
