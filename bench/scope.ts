/** Lets a bench use the helpers of the tests: what they would undo after a test is undone after `body`. */
import type { TestContext } from 'node:test';

export async function withScope(body: (scope: TestContext) => Promise<void>): Promise<void> {
  const undoing: (() => unknown)[] = [];
  const scope = { after: (undo: () => unknown) => void undoing.push(undo) };
  try {
    await body(scope as unknown as TestContext);
  } finally {
    for (const undo of undoing) await undo();
  }
}

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
