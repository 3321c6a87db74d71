import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LoopwardenError } from '../../src/errors.js';
import { type AuditLogState, openAuditLog } from '../../src/sinks/audit-log.js';
import { tempFolder } from '../support/temp-folder.js';

function linesOf(path: string): { n: number }[] {
  const text = readFileSync(path, 'utf8');
  assert.ok(text === '' || text.endsWith('\n'));
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** A file system of 64 KiB in all. */
function smallDisk(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'loopwarden-disk-'));
  t.after(() => {
    spawnSync('umount', ['-l', folder]);
    rmdirSync(folder);
  });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'loopwarden-test', folder]);
  return folder;
}

/** Waits for one report of the log's state. */
function stateWatch() {
  const states: AuditLogState[] = [];
  let wake = () => {};
  return {
    onState: (state: AuditLogState) => {
      states.push(state);
      wake();
    },
    async until(failing: boolean): Promise<AuditLogState> {
      // Also keeps the process alive: the log's own timer does not.
      const deadline = setTimeout(() => assert.fail(`not failing=${failing} within 10 s`), 10_000);
      while (states.at(-1)?.failing !== failing) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      clearTimeout(deadline);
      return states.at(-1) as AuditLogState;
    },
  };
}

test('lines arrive in order; missing folder and file are made private', async (t) => {
  const path = join(tempFolder(t), 'made', 'audit.ndjson');
  const log = await openAuditLog({ path });
  for (let n = 0; n < 10_000; n++) log.write(`{"n":${n}}`);
  await log.flush();
  assert.deepEqual(
    linesOf(path),
    Array.from({ length: 10_000 }, (_, n) => ({ n })),
  );
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o750);
  const { size } = statSync(path);
  assert.deepEqual(log.stats(), { linesWritten: 10_000, linesLost: 0, bytes: size, failing: false });
  await log.close();
  log.write('{}');
  assert.equal(log.stats().linesLost, 1);
});

test('lines written without waiting are there after close', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  const log = await openAuditLog({ path });
  log.write('{"n":1}');
  await Promise.all([log.flush(), log.close(), log.close()]);
  assert.deepEqual(linesOf(path), [{ n: 1 }]);
});

test('a line that a crash left torn stays alone', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  writeFileSync(path, '{"n":1}\n{"n":');
  const log = await openAuditLog({ path });
  log.write('{"n":2}');
  await log.close();
  assert.equal(readFileSync(path, 'utf8'), '{"n":1}\n{"n":\n{"n":2}\n');
  assert.equal(log.stats().linesWritten, 1);
});

test('a file that cannot be had is ERR_AUDIT_LOG at open', async (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, 'file'), '');
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  for (const path of [
    folder,
    join(folder, 'file', 'audit.ndjson'),
    '/proc/loopwarden/audit',
    join(folder, 'fifo'),
  ]) {
    const refusal = await openAuditLog({ path }).then(
      () => assert.fail(path),
      (error: unknown) => error,
    );
    assert.ok(refusal instanceof LoopwardenError && refusal.code === 'ERR_AUDIT_LOG', path);
  }
});

test('after a rotation reopen writes to the new file, without one it stays', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  const log = await openAuditLog({ path });
  log.write('{"n":1}');
  await log.flush();
  await log.reopen();
  renameSync(path, `${path}.1`);
  log.write('{"n":2}');
  await log.flush();
  await log.reopen();
  log.write('{"n":3}');
  await log.close();
  assert.deepEqual(linesOf(`${path}.1`), [{ n: 1 }, { n: 2 }]);
  assert.deepEqual(linesOf(path), [{ n: 3 }]);
});

test('a reopen that fails goes on with the old file', async (t) => {
  const folder = join(tempFolder(t), 'log');
  const path = join(folder, 'audit.ndjson');
  const log = await openAuditLog({ path });
  renameSync(folder, `${folder}.old`);
  writeFileSync(folder, 'in the way');
  await assert.rejects(log.reopen(), { code: 'ERR_AUDIT_LOG' });
  log.write('{"n":1}');
  await log.close();
  assert.deepEqual(linesOf(join(`${folder}.old`, 'audit.ndjson')), [{ n: 1 }]);
});

test('disk full: goes on, loses only what its buffer cannot hold, resumes by itself, tears no line', async (t) => {
  const folder = smallDisk(t);
  const path = join(folder, 'audit.ndjson');
  const ballast = join(folder, 'ballast');
  writeFileSync(ballast, Buffer.alloc(40_000));
  const watch = stateWatch();
  const log = await openAuditLog({
    path,
    onState: watch.onState,
    bufferBytes: 20_000,
    firstRetryMs: 5,
    maxRetryMs: 20,
  });
  let given = 0;
  const writeUntilFailing = async () => {
    while (!log.stats().failing) {
      log.write(`{"n":${given++},"text":"${'x'.repeat(given % 97)}"}`);
      if (given % 50 === 0) await log.flush();
    }
  };
  await writeUntilFailing();
  assert.match((await watch.until(true)).reason ?? '', /ENOSPC/);
  // The kernel took part of a chunk: the file ends within a line, as the test wants it.
  assert.notEqual(readFileSync(path).at(-1), 0x0a);
  for (let more = 0; more < 2000; more++) log.write(`{"n":${given++}}`);
  const { linesLost } = log.stats();
  assert.ok(linesLost > 0 && linesLost < 2000, `${linesLost} lost`);

  rmSync(ballast);
  await watch.until(false);
  await log.flush();
  const { linesWritten, linesLost: lostAtEnd, failing } = log.stats();
  const lines = linesOf(path);
  assert.equal(failing, false);
  assert.equal(lines.length, linesWritten);
  assert.equal(linesWritten + lostAtEnd, given);
  assert.deepEqual(
    lines.map(({ n }) => n),
    [...new Set(lines.map(({ n }) => n))].sort((a, b) => a - b),
  );
  await log.close();
});

test('closing on a full disk counts what is left as lost', async (t) => {
  const folder = smallDisk(t);
  const path = join(folder, 'audit.ndjson');
  writeFileSync(join(folder, 'ballast'), Buffer.alloc(61_440));
  const log = await openAuditLog({ path });
  for (let n = 0; n < 1000; n++) log.write(`{"n":${n}}`);
  await log.close();
  const { linesWritten, linesLost } = log.stats();
  assert.ok(linesWritten > 0 && linesLost > 0);
  assert.equal(linesWritten + linesLost, 1000);
  rmSync(join(folder, 'ballast'));
  const next = await openAuditLog({ path });
  next.write('{"n":1000}');
  await next.close();
  const text = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.deepEqual(JSON.parse(text.at(-1) ?? ''), { n: 1000 });
  for (const line of text.slice(0, linesWritten)) JSON.parse(line);
});

test('rotation on a full disk: the half-written line goes whole to the new file', async (t) => {
  const folder = smallDisk(t);
  let elsewhere = '';
  t.after(() => spawnSync('umount', ['-l', join(elsewhere, 'log')]));
  elsewhere = tempFolder(t);
  const path = join(elsewhere, 'log', 'audit.ndjson');
  mkdirSync(join(elsewhere, 'log'));
  execFileSync('mount', ['--bind', folder, join(elsewhere, 'log')]);
  writeFileSync(join(folder, 'ballast'), Buffer.alloc(61_440));
  const log = await openAuditLog({ path, firstRetryMs: 5 });
  for (let n = 0; n < 1000; n++) log.write(`{"n":${n}}`);
  await log.flush();
  assert.equal(log.stats().failing, true);
  execFileSync('umount', ['-l', join(elsewhere, 'log')]);
  await log.reopen();
  await log.close();
  const old = readFileSync(join(folder, 'audit.ndjson'), 'utf8').split('\n');
  const whole = old.slice(0, -1).map((line) => JSON.parse(line).n);
  assert.deepEqual(
    [...whole, ...linesOf(path).map(({ n }) => n)],
    Array.from({ length: 1000 }, (_, n) => n),
  );
  assert.deepEqual([log.stats().linesWritten, log.stats().linesLost], [1000, 0]);
});

test('an appended file of another writer is not a problem', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  const log = await openAuditLog({ path });
  log.write('{"n":1}');
  await log.flush();
  appendFileSync(path, '{"n":2}\n');
  log.write('{"n":3}');
  await log.close();
  assert.deepEqual(
    linesOf(path).map(({ n }) => n),
    [1, 2, 3],
  );
});

test('- is stdout', async () => {
  const module = fileURLToPath(new URL('../../src/sinks/audit-log.ts', import.meta.url));
  const code = `const { openAuditLog } = await import(${JSON.stringify(module)});
    const log = await openAuditLog({ path: '-' });
    for (let n = 0; n < 20000; n++) log.write('{"n":' + n + '}');
    await log.close();`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const [exitCode] = await once(child, 'close');
  assert.equal(exitCode, 0);
  assert.equal(text, Array.from({ length: 20_000 }, (_, n) => `{"n":${n}}\n`).join(''));
});
