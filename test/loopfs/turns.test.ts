import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeTurns } from '../../src/loopfs/turns.js';

const EIO = { code: 'EIO' };

test('calls are made one at a time, in the order of asking, whatever comes of each', async () => {
  const turns = takeTurns();
  const order: string[] = [];
  let release: () => void = () => {};
  const first = turns(async () => {
    order.push('first begins');
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    order.push('first ends');
    throw new Error('refused');
  });
  const second = turns(async () => order.push('second'));
  await new Promise(setImmediate);
  release();
  await assert.rejects(first, /refused/);
  await second;
  assert.deepEqual(order, ['first begins', 'first ends', 'second']);
});

test('after a call that does not return, none is made until it does', async () => {
  const turns = takeTurns(10);
  let release: () => void = () => {};
  const stuck = turns(() => new Promise<void>((resolve) => (release = resolve)));
  let made = 0;
  const next = turns(async () => (made += 1));
  await assert.rejects(stuck, EIO);
  await assert.rejects(next, EIO);
  assert.equal(made, 0);
  release();
  await new Promise(setImmediate);
  assert.equal(await turns(async () => (made += 1)), 1);
});
