/** What has to be undone, in the reverse order of its doing. */

export interface Cleanup {
  add(undo: () => void | Promise<void>): void;
  /** Undoes everything, once; goes on after a failure and then throws the first. */
  run(): Promise<void>;
}

export function createCleanup(): Cleanup {
  const steps: (() => void | Promise<void>)[] = [];
  return {
    add(undo) {
      steps.push(undo);
    },
    async run() {
      const failures: unknown[] = [];
      for (let step = steps.pop(); step; step = steps.pop()) {
        try {
          await step();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
