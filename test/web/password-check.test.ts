import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { createPasswordCheck, type PasswordCheckOptions } from '../../src/web/password-check.js';
import { defer } from '../support/defer.js';

const HASH = hashSync('secret', 4);
const SLOW = hashSync('secret', 11);

function start(t: TestContext, options?: PasswordCheckOptions) {
  const passwords = createPasswordCheck(options);
  defer(t, () => passwords.close());
  return passwords;
}

test('tells the right password from a wrong one, for hashes of bcrypt and htpasswd', async (t) => {
  const { check } = start(t);
  assert.equal(await check('ann', 'secret', HASH), 'right');
  assert.equal(await check('ann', 'Secret', HASH), 'wrong');
  assert.equal(await check('ann', '', HASH), 'wrong');
  assert.equal(await check('ann', 'secret', HASH.replace(/^\$2b/, '$2y')), 'right');
  assert.equal(await check('ann', 'x'.repeat(1_000_000), HASH), 'wrong');
});

test('a verdict is remembered, for that user, password and hash only', async (t) => {
  const { check } = start(t);
  const began = performance.now();
  assert.equal(await check('ann', 'secret', SLOW), 'right');
  const first = performance.now() - began;
  const again = performance.now();
  for (let time = 0; time < 100; time++) assert.equal(await check('ann', 'secret', SLOW), 'right');
  assert.ok(performance.now() - again < first, 'a hundred remembered ones take less than one check');
  assert.equal(await check('ann', 'secret', hashSync('other', 4)), 'wrong');
});

test('the same question asked at once is one check; too many different ones are told to wait', async (t) => {
  const { check } = start(t, { maxWaiting: 4 });
  const same = await Promise.all(Array.from({ length: 50 }, () => check('ann', 'secret', SLOW)));
  assert.ok(same.every((verdict) => verdict === 'right'));
  const flood = await Promise.all(Array.from({ length: 40 }, (_, at) => check('ann', `guess ${at}`, SLOW)));
  assert.equal(flood.filter((verdict) => verdict === 'busy').length, 36);
  assert.equal(flood.filter((verdict) => verdict === 'wrong').length, 4);
  // Who is known already is let in during any flood.
  const during = Array.from({ length: 40 }, (_, at) => check('ann', `another ${at}`, SLOW));
  assert.equal(await check('ann', 'secret', SLOW), 'right');
  await Promise.all(during);
});

test('a check does not hold up the thread that reads the events', async (t) => {
  const { check } = start(t);
  await check('ann', 'warm', HASH);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const began = performance.now();
  await check('ann', 'secret', hashSync('x', 4).replace('$04$', '$12$'));
  const took = performance.now() - began;
  delay.disable();
  assert.ok(delay.max / 1e6 < took / 2, `${delay.max / 1e6} ms of ${took} ms`);
});

test('what waits when it closes is not let in', async (t) => {
  const passwords = start(t);
  const waiting = passwords.check('ann', 'secret', SLOW);
  passwords.close();
  assert.equal(await waiting, 'busy');
});
