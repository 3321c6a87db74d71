import type { TestContext } from 'node:test';
import { type Cleanup, createCleanup } from '../../src/cleanup.js';

const cleanups = new WeakMap<TestContext, Cleanup>();

/** Undoes something after the test, the last thing first: node:test's own `after` goes from the first to the last. */
export function defer(t: TestContext, undo: () => unknown): void {
  let cleanup = cleanups.get(t);
  if (cleanup === undefined) {
    cleanup = createCleanup();
    cleanups.set(t, cleanup);
    t.after(cleanup.run);
  }
  cleanup.add(async () => {
    await undo();
  });
}
