/** `audit verify`: what a person, and a script, is told of a log. */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { audit } from '../../src/commands/audit.js';
import { loadConfig } from '../../src/config/load.js';
import type { LoopwardenError } from '../../src/errors.js';
import { listLogParts } from '../../src/sinks/log-parts.js';
import type { VerificationReport } from '../../src/sinks/verification-report.js';
import type { ControlClient } from '../../src/web/control-client.js';
import { type AuditConfig, auditConfig, lineOf, openSink } from '../support/audit-sink.js';
import { tempFolder } from '../support/temp-folder.js';
import { assertHarmless, HOSTILE_NAMES } from './terminal.js';

async function writeLog(t: TestContext, lines = 200): Promise<AuditConfig> {
  const config = auditConfig(tempFolder(t), { rotate_bytes: 65_536 });
  const log = await openSink(config, { batchLines: 20 });
  for (let seq = 1; seq <= lines; seq++) {
    log.write(lineOf(seq, 'x'.repeat(900)));
    if (seq % 10 === 0) await log.flush();
  }
  await log.close();
  return config;
}

async function verify(config: AuditConfig, args: string[] = [], options: Record<string, unknown> = {}) {
  const loaded = loadConfig({ defaultPath: '/nonexistent/config.yaml' });
  const [command] = audit.commands;
  assert.ok(command);
  const printed: unknown[] = [];
  const code = await command.action({
    loaded: { ...loaded, config: { ...loaded.config, audit: config } },
    agent: {} as ControlClient,
    json: options.json === true,
    args,
    options,
    print: (value) => printed.push(value),
  });
  return { code, text: String(printed[0]), report: printed[0] as VerificationReport };
}

test('an untouched log is one line, and exit code 0', async (t) => {
  const config = await writeLog(t);
  const { code, text } = await verify(config);
  assert.equal(code, 0);
  assert.match(text, /^fine: 200 lines in \d files, checkpoints 1 to \d+, the last of 20\S+Z$/);
  const { report } = await verify(config, [], { json: true });
  assert.deepEqual([report.ok, report.findings, report.unsignedLines], [true, [], 0]);
});

test('a log that was changed: file, lines, numbers and kind of each place, and exit code 1', async (t) => {
  const config = await writeLog(t);
  const path = `${config.path}.1`;
  writeFileSync(path, readFileSync(path, 'utf8').replace(/\{"seq":33,.*\n/, ''));
  const { code, text } = await verify(config);
  assert.equal(code, 1);
  const [finding, suspect, last] = text.split('\n');
  assert.match(
    finding ?? '',
    /audit\.ndjson\.1:23-42 +seq 21 +deleted +1 line fewer than were signed before/,
  );
  assert.match(suspect ?? '', /^ {2}\S+audit\.ndjson\.1:35 +seq 34 +deleted +has seq 34, expected was 33$/);
  assert.match(last ?? '', /^1 finding: the log is not what the agent wrote; 199 lines/);
});

test('names on its command line: a log with what was rotated away, or each file by itself', async (t) => {
  const config = await writeLog(t);
  const elsewhere = tempFolder(t);
  for (const { path } of listLogParts(config.path)) cpSync(path, join(elsewhere, basename(path)));
  const publicKey = join(elsewhere, 'key.pem');
  cpSync(`${config.key_path}.pub`, publicKey);
  const noKey = { ...config, key_path: '/nonexistent/audit.key' };
  const moved = join(elsewhere, 'audit.ndjson');
  assert.equal((await verify(noKey, [moved], { publicKey })).code, 0);
  const files = listLogParts(moved).map(({ path }) => path);
  assert.ok(files.length > 2);
  assert.equal((await verify(noKey, files.toReversed(), { publicKey })).code, 0);
  const state = `${config.key_path}.state`;
  assert.equal((await verify(noKey, [moved], { publicKey, state })).code, 0);

  rmSync(moved);
  const without = await verify(noKey, [moved], { publicKey });
  assert.match(without.text, /truncated +the last file has ended, and the one after it is missing/);
  const { code, text } = await verify(noKey, [moved], { publicKey, state });
  assert.equal(code, 1);
  assert.match(text, /truncated +the log ends with checkpoint \d+, but the agent wrote \d+ checkpoints/);
  assert.equal((await verify(noKey, files.slice(1, -1), { publicKey })).code, 1);
});

test('a log that is gone is found by the state beside the key', async (t) => {
  const config = await writeLog(t, 20);
  rmSync(config.path);
  const { code, text } = await verify(config);
  assert.equal(code, 1);
  assert.match(text, /truncated +the log ends with none, but the agent wrote \d+ checkpoints/);
});

test('without a log, a key or a state that was named it is a usage error', async (t) => {
  const config = await writeLog(t, 20);
  const refused = async (code: string, ...rest: Parameters<typeof verify>) =>
    assert.rejects(verify(...rest), (error: LoopwardenError) => error.code === code && error.exitCode === 2);
  await refused('ERR_NO_AUDIT_LOG', { ...config, path: join(tempFolder(t), 'audit.ndjson') });
  await refused('ERR_NO_AUDIT_LOG', config, [config.path, '/nonexistent']);
  await refused('ERR_AUDIT_KEY', config, [], { publicKey: '/nonexistent' });
  await refused('ERR_AUDIT_KEY', config, [], { publicKey: config.path });
  await refused('ERR_USAGE', config, [], { state: '/nonexistent' });
});

test('lines that somebody put in steer no terminal', async (t) => {
  const config = await writeLog(t, 20);
  for (const name of Object.values(HOSTILE_NAMES)) {
    appendFileSync(
      config.path,
      `{"time":"${name}","boot_ns":1,"kind":"checkpoint","chain":"${name}"}\n${name}\n`,
    );
  }
  const { code, text } = await verify(config);
  assert.equal(code, 1);
  for (const line of text.split('\n')) assertHarmless(line, 1, 'a line of the report');
});

test('a log while it is written, with rotations: never a finding', async (t) => {
  const config = auditConfig(tempFolder(t), { rotate_bytes: 65_536, keep_files: 2, checkpoint_ms: 10 });
  const log = await openSink(config, { batchLines: 30 });
  let seq = 0;
  const writing = setInterval(() => log.write(lineOf(++seq, 'x'.repeat(900)), true), 1);
  t.after(() => clearInterval(writing));
  while (seq < 400) {
    if (seq === 0) await log.flush();
    else {
      const { code, text } = await verify(config);
      assert.equal(code, 0, text);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  clearInterval(writing);
  await log.close();
  assert.equal((await verify(config)).code, 0);
});

test('a file that has ended before there is the next one is no cut, if that comes', async (t) => {
  const config = auditConfig(tempFolder(t), { rotate_bytes: 65_536 });
  const log = await openSink(config);
  for (let seq = 1; !existsSync(`${config.path}.1`); seq++) {
    log.write(lineOf(seq, 'x'.repeat(900)));
    await log.flush();
  }
  await log.close();
  renameSync(config.path, `${config.path}.next`);
  const verifying = verify(config);
  setTimeout(() => renameSync(`${config.path}.next`, config.path), 50);
  const { code, text } = await verifying;
  assert.equal(code, 0, text);
});
