import { type Cleanup, createCleanup } from '../../src/cleanup.js';

/** What something lasts for: a test (node:test's TestContext), or a scope of createScope. */
export interface Scope {
  after(undo: () => Promise<void>): void;
}

const cleanups = new WeakMap<Scope, Cleanup>();

/** Undoes something after the test, the last thing first: node:test's own `after` goes from the first to the last. */
export function defer(t: Scope, undo: () => unknown): void {
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

/** For what outlasts a test. */
export function createScope(): { scope: Scope; end(): Promise<void> } {
  const { add, run } = createCleanup();
  return { scope: { after: add }, end: run };
}
