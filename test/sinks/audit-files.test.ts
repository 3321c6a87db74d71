import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { listAuditFiles, openAuditFiles } from '../../src/sinks/audit-files.js';
import { auditConfig, lineOf, openSink } from '../support/audit-sink.js';
import { tempFolder } from '../support/temp-folder.js';

async function readAll(
  path: string,
  sinceMs?: number,
): Promise<{ lines: string[]; problems: readonly string[] }> {
  const files = await openAuditFiles(path);
  const lines: string[] = [];
  for await (const line of files.lines(sinceMs)) lines.push(line);
  await files.close();
  return { lines, problems: files.problems() };
}

test('of files without checkpoints the last written is the newest, and each is listed once', (t) => {
  const folder = tempFolder(t);
  const path = join(folder, 'audit.ndjson');
  const names = [
    'audit.ndjson.10',
    'audit.ndjson.2.gz',
    'audit.ndjson.1',
    'audit.ndjson.1.gz',
    'audit.ndjson',
  ];
  const listed = () => listAuditFiles(path).map((file) => basename(file.path));
  for (const name of [...names, 'other.ndjson.3', 'audit.ndjson.x']) writeFileSync(join(folder, name), '');
  // As logrotate names them: the higher the older.
  for (const [at, name] of names.entries()) utimesSync(join(folder, name), 1000 + at, 1000 + at);
  assert.deepEqual(listed(), ['audit.ndjson.10', 'audit.ndjson.2.gz', 'audit.ndjson.1', 'audit.ndjson']);
  // As ours are named: the higher the newer.
  for (const [at, name] of names.slice(0, 3).entries()) utimesSync(join(folder, name), 3000 - at, 3000 - at);
  assert.deepEqual(listed(), ['audit.ndjson.1', 'audit.ndjson.2.gz', 'audit.ndjson.10', 'audit.ndjson']);
});

test('what the agent rotated is read in the order in which it was written', async (t) => {
  for (const chain of [true, false]) {
    const config = auditConfig(tempFolder(t), { rotate_bytes: 65_536, chain });
    const log = await openSink(config);
    for (let seq = 1; seq <= 300; seq++) {
      log.write(lineOf(seq, 'x'.repeat(900)));
      if (seq % 10 === 0) await log.flush();
    }
    await log.close();
    assert.ok(listAuditFiles(config.path).length >= 4);
    const { lines } = await readAll(config.path);
    const seqs = lines.flatMap((line) => JSON.parse(line).seq ?? []);
    assert.deepEqual(
      seqs,
      Array.from({ length: 300 }, (_, at) => at + 1),
      `chain ${chain}`,
    );
  }
});

test('a last line that is torn is no line, in any of the files', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  writeFileSync(`${path}.1`, 'a\nb\ntorn');
  writeFileSync(path, '\nc\nd');
  assert.deepEqual(await readAll(path), { lines: ['a', 'b', 'c'], problems: [] });
});

test('a rotation while it is read neither hides a line nor shows one twice', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  writeFileSync(`${path}.1`, 'a\n');
  writeFileSync(path, 'b\n');
  const files = await openAuditFiles(path);
  renameSync(`${path}.1`, `${path}.2`);
  renameSync(path, `${path}.1`);
  writeFileSync(path, 'd\n');
  appendFileSync(`${path}.1`, 'c\n');
  const lines: string[] = [];
  for await (const line of files.lines()) lines.push(line);
  await files.close();
  assert.deepEqual(lines, ['a', 'b', 'c']);
});

test('files last written before what is asked for are not read', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  writeFileSync(`${path}.1`, 'old\n');
  utimesSync(`${path}.1`, 1000, 1000);
  writeFileSync(path, 'new\n');
  assert.deepEqual((await readAll(path, 2_000_000)).lines, ['new']);
  assert.deepEqual((await readAll(path, 999_000)).lines, ['old', 'new']);
});

test('a damaged archive is told, and what is after it is read', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  const zipped = gzipSync(Buffer.from('x\n'.repeat(100_000)));
  writeFileSync(`${path}.3.gz`, 'not zipped');
  writeFileSync(`${path}.2.gz`, zipped.subarray(0, zipped.length - 20));
  utimesSync(`${path}.3.gz`, 1000, 1000);
  mkdirSync(`${path}.1`);
  writeFileSync(path, 'z\n');
  const { lines, problems } = await readAll(path);
  assert.equal(lines.at(-1), 'z');
  assert.equal(problems.length, 2);
  assert.match(problems[0] ?? '', /\.3\.gz: /);
  assert.match(problems[1] ?? '', /\.2\.gz: unexpected end of file/);
});

test('a line without an end takes bounded memory, and the one after it is read', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  const megabyte = 'a'.repeat(1 << 20);
  writeFileSync(`${path}.1.gz`, gzipSync(Buffer.from(`first\n${megabyte.repeat(64)}\nlast\n`)));
  writeFileSync(path, '');
  const before = process.memoryUsage().rss;
  const { lines, problems } = await readAll(path);
  assert.deepEqual(lines, ['first', 'last']);
  assert.match(problems.join(), /longer than 64 KiB/);
  assert.ok(process.memoryUsage().rss - before < 48 << 20);
});

test('a log of many lines is read as it is needed', async (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  writeFileSync(path, `${'x'.repeat(999)}\n`.repeat(50_000));
  const files = await openAuditFiles(path);
  let count = 0;
  for await (const line of files.lines()) {
    assert.equal(line.length, 999);
    if (++count === 10) break;
  }
  await files.close();
  assert.equal(count, 10);
});

test('without any file it says which was looked for', async (t) => {
  const path = join(tempFolder(t), 'none.ndjson');
  await assert.rejects(openAuditFiles(path), { code: 'ERR_NO_AUDIT_LOG', message: /none\.ndjson/ });
  mkdirSync(path);
  await assert.rejects(openAuditFiles(path), { code: 'ERR_NO_AUDIT_LOG' });
});
