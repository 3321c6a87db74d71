/** A thread that does nothing but compare passwords with bcrypt hashes: it takes long, by design. */
import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

export interface Question {
  id: number;
  password: string;
  hash: string;
}

export interface Verdict {
  id: number;
  right: boolean;
}

parentPort?.on('message', ({ id, password, hash }: Question) => {
  const verdict: Verdict = { id, right: compareSync(password, hash) };
  parentPort?.postMessage(verdict);
});
