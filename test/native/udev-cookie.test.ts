import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadNative } from '../../src/kernel/native.js';
import { defer } from '../support/defer.js';
import { command, host } from '../support/shell.js';

const { completeUdevCookie } = loadNative();
const ENOENT = 2;
const EAGAIN = 11;
/** Of no dmsetup: those begin anywhere, but one waits here only as long as this test. */
const COOKIE = 0x1b05;
const MAGIC = 0x0d4d_0000;

/** semctl(2) with GETVAL on the semaphore of the cookie. */
const LIBC = 'import ctypes; c = ctypes.CDLL(None);';
const readValue = (id: string): Promise<string> => host(`python3 -c '${LIBC} print(c.semctl(${id}, 0, 12))'`);

test('takes one back from what the waiting tool has raised, as udev’s rules do, and never waits', async (t) => {
  const key = MAGIC | COOKIE;
  // Raised to 2 by SETVAL: two uevents are awaited.
  const id = await host(
    `python3 -c '${LIBC} i = c.semget(${key}, 1, 0o1600); c.semctl(i, 0, 16, 2); print(i)'`,
  );
  defer(t, () => command('ipcrm', ['-s', id]));
  assert.equal(completeUdevCookie(0x21_0000 | COOKIE), 0);
  assert.equal(await readValue(id), '1');
  assert.equal(completeUdevCookie(COOKIE), 0);
  assert.equal(await readValue(id), '0');
  assert.equal(completeUdevCookie(COOKIE), EAGAIN);
  await host(`ipcrm -s ${id}`);
  assert.equal(completeUdevCookie(COOKIE), ENOENT);
  for (const wrong of [-1, 2 ** 32, 1.5, Number.NaN, '1', undefined])
    assert.throws(() => completeUdevCookie(wrong as number), String(wrong));
});
