/**
 * Whether a password fits a bcrypt hash, at a bounded cost: one thread works, few wait, what was found is remembered.
 *
 * The thread is there only while there is work, and never the agent's own: a check takes as long as a thousand events.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { PACKAGE_ROOT } from '../kernel/paths.js';
import type { Question, Verdict } from './password-worker.js';

/** `busy`: too many wait already; nobody has looked. */
export type PasswordVerdict = 'right' | 'wrong' | 'busy';

export interface PasswordCheck {
  check(user: string, password: string, hash: string): Promise<PasswordVerdict>;
  close(): void;
}

export interface PasswordCheckOptions {
  /** Checks that may wait, the running one included; past it `busy`. */
  maxWaiting?: number;
  /** Verdicts that are remembered; past it the oldest goes. */
  maxRemembered?: number;
}

/** bcrypt reads 72; what is longer only costs. */
const MAX_PASSWORD_LENGTH = 1024;
const IDLE_MS = 10_000;
const WORKER = `${PACKAGE_ROOT}dist/password-worker.js`;

export function createPasswordCheck({
  maxWaiting = 32,
  maxRemembered = 256,
}: PasswordCheckOptions = {}): PasswordCheck {
  // Not the passwords themselves are kept, and what is kept is of no use to another process.
  const secret = randomBytes(32);
  const remembered = new Map<string, 'right' | 'wrong'>();
  const underWay = new Map<string, Promise<PasswordVerdict>>();
  const answers = new Map<number, (verdict: PasswordVerdict) => void>();
  let worker: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;
  let nextId = 0;

  return {
    async check(user, password, hash) {
      if (password.length > MAX_PASSWORD_LENGTH) return 'wrong';
      // Looked up by a keyed digest of all three, so the time tells nothing of how much was right.
      const key = createHmac('sha256', secret)
        .update(JSON.stringify([user, hash, password]))
        .digest('base64');
      const known = remembered.get(key);
      if (known !== undefined) {
        // A flood of wrong ones pushes out what is not used, not what is.
        remembered.delete(key);
        remembered.set(key, known);
        return known;
      }
      const same = underWay.get(key);
      if (same) return same;
      if (underWay.size >= maxWaiting) return 'busy';
      const asked = ask(password, hash).finally(() => underWay.delete(key));
      underWay.set(key, asked);
      const verdict = await asked;
      if (verdict !== 'busy') remember(key, verdict);
      return verdict;
    },
    close() {
      endWorker();
      remembered.clear();
    },
  };

  function remember(key: string, verdict: 'right' | 'wrong'): void {
    remembered.set(key, verdict);
    const [oldest] = remembered.keys();
    if (remembered.size > maxRemembered && oldest !== undefined) remembered.delete(oldest);
  }

  function ask(password: string, hash: string): Promise<PasswordVerdict> {
    clearTimeout(idle);
    worker ??= startWorker();
    const question: Question = { id: nextId++, password, hash };
    return new Promise((resolve) => {
      answers.set(question.id, resolve);
      worker?.postMessage(question);
    });
  }

  function startWorker(): Worker {
    const started = new Worker(WORKER, { resourceLimits: { maxOldGenerationSizeMb: 32 } });
    started.unref();
    started.on('message', ({ id, right }: Verdict) => {
      answers.get(id)?.(right ? 'right' : 'wrong');
      answers.delete(id);
      if (answers.size === 0) idle = setTimeout(endWorker, IDLE_MS).unref();
    });
    started.on('error', () => {
      if (worker === started) endWorker();
    });
    return started;
  }

  function endWorker(): void {
    clearTimeout(idle);
    void worker?.terminate();
    worker = undefined;
    for (const answer of answers.values()) answer('busy');
    answers.clear();
  }
}
