/**
 * Makes the log durable off the hot path: whoever needs it asks, and one fdatasync serves all who asked by then. While one
 * runs the next one gathers, so a slow disk gets fewer and larger ones, never a queue.
 */
import type { LogFile } from './log-file.js';

export interface LogSync {
  /** Everything that is written by now is durable soon: the call goes out within the delay. */
  request(file: LogFile): void;
  /** Resolves when nothing is asked for any more; after that the file may be closed. */
  settle(): Promise<void>;
  stats(): { syncs: number; failures: number };
}

export interface LogSyncOptions {
  sync: (file: LogFile) => Promise<void>;
  /** Called after each that succeeded. */
  onSynced: () => void;
  /** Called at the first of a row of failures. */
  onFailure: (error: unknown) => void;
  delayMs: number;
}

/** A file system without it: what can be done is done. */
const CANNOT = new Set(['EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'EROFS']);

export function createLogSync({ sync, onSynced, onFailure, delayMs }: LogSyncOptions): LogSync {
  let wanted: LogFile | undefined;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let failing = false;
  const stats = { syncs: 0, failures: 0 };

  function run(): void {
    clearTimeout(timer);
    timer = undefined;
    if (wanted === undefined || running !== undefined) return;
    const file = wanted;
    wanted = undefined;
    stats.syncs++;
    running = sync(file)
      .catch((error: NodeJS.ErrnoException) => {
        if (CANNOT.has(error.code ?? '')) return;
        stats.failures++;
        if (!failing) onFailure(error);
        failing = true;
        throw error;
      })
      .then(
        () => {
          failing = false;
          onSynced();
        },
        () => {},
      )
      .finally(() => {
        running = undefined;
        // Who asked meanwhile has waited long enough.
        run();
      });
  }

  return {
    request(file) {
      if (!file.regular) return;
      wanted = file;
      if (running === undefined) timer ??= setTimeout(run, delayMs);
    },
    async settle() {
      run();
      while (running !== undefined) await running;
    },
    stats: () => ({ ...stats }),
  };
}
