/** What the queue does whatever the receiver is; real ones are in the tests of each output. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createOutputQueue } from '../../src/sinks/output-queue.js';
import { defer } from '../support/defer.js';
import { eventually } from '../support/wait.js';

test('making messages of lines takes a quarter of the thread’s time at most, and at the end no longer than the limit', async (t) => {
  const encode = (line: string): string => {
    for (const untilMs = performance.now() + 2; performance.now() < untilMs; );
    return line;
  };
  const deliver = async (messages: readonly string[]) => ({ done: messages.length, rejected: 0 });
  const queue = createOutputQueue({ encode, deliver }, { batchLines: 10, gatherMs: 0, closeMs: 50 });
  defer(t, () => queue.close());
  for (let n = 0; n < 5000; n++) queue.take('{}');
  const startMs = performance.now();
  await delay(500);
  const shareOfTime = (queue.counts().sent * 2) / (performance.now() - startMs);
  assert.ok(shareOfTime > 0 && shareOfTime < 0.4, `${shareOfTime}`);
  // At the end there is no time for shares, but a limit.
  const closeMs = performance.now();
  await queue.close();
  assert.ok(performance.now() - closeMs < 2000);
  assert.ok(queue.counts().abandoned > 0);
});

test('what a receiver took of a batch is not made or sent again', async (t) => {
  const encoded: string[] = [];
  const received: string[] = [];
  const states: (string | undefined)[] = [];
  const queue = createOutputQueue(
    {
      encode(line) {
        encoded.push(line);
        return line;
      },
      async deliver(messages: readonly string[]) {
        const some = messages.slice(0, 3);
        received.push(...some);
        const all = some.length === messages.length;
        return { done: some.length, rejected: 0, ...(!all && { reason: 'full', busy: true }) };
      },
    },
    { gatherMs: 1, onState: (reason) => states.push(reason) },
  );
  defer(t, () => queue.close());
  const lines = Array.from({ length: 20 }, (_, at) => `line ${at}`);
  for (const line of lines) queue.take(line);
  await eventually('all of it', () => queue.counts().sent === 20);
  assert.deepEqual([received, encoded], [lines, lines]);
  assert.deepEqual(states, [], 'it had room again soon enough');
});

test('of a receiver that cannot be reached it says for how long none answered', async (t) => {
  const states: (string | undefined)[] = [];
  const queue = createOutputQueue(
    {
      encode: (line) => line,
      // As a connection that nobody takes or refuses.
      async deliver(_messages: readonly string[], signal) {
        await once(new EventEmitter(), 'connect', { signal });
        return { done: 0, rejected: 0 };
      },
    },
    { gatherMs: 1, timeoutMs: 20, closeMs: 50, onState: (reason) => states.push(reason) },
  );
  defer(t, () => queue.close());
  queue.take('{}');
  await eventually('it says that it fails', () => states.length === 1);
  assert.deepEqual(states, ['no answer within 20 ms']);
});
