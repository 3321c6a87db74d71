import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCleanup } from '../src/cleanup.js';

test('undoes the last thing first, one after the other, and each once', async () => {
  const cleanup = createCleanup();
  const order: string[] = [];
  cleanup.add(() => void order.push('first'));
  cleanup.add(async () => {
    await Promise.resolve();
    order.push('second');
  });
  cleanup.add(() => void order.push('third'));
  await cleanup.run();
  await cleanup.run();
  assert.deepEqual(order, ['third', 'second', 'first']);
});

test('goes on after a failure, and then throws the first', async () => {
  const cleanup = createCleanup();
  const order: string[] = [];
  cleanup.add(() => void order.push('first'));
  cleanup.add(() => Promise.reject(new Error('later')));
  cleanup.add(() => {
    throw new Error('earlier');
  });
  await assert.rejects(cleanup.run(), /^Error: earlier$/);
  assert.deepEqual(order, ['first']);
  await cleanup.run();
});

test('with nothing to undo there is nothing to do', async () => {
  await createCleanup().run();
});

test('what is added while undoing is undone too', async () => {
  const cleanup = createCleanup();
  const order: string[] = [];
  cleanup.add(() => void order.push('first'));
  cleanup.add(() => cleanup.add(() => void order.push('added')));
  await cleanup.run();
  assert.deepEqual(order, ['added', 'first']);
});
