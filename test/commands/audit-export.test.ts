/** `audit export`: the log with its rotated files, in another's form. */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { audit } from '../../src/commands/audit.js';
import { formatAuditLine } from '../../src/sinks/audit-line.js';
import { listLogParts } from '../../src/sinks/log-parts.js';
import { type AuditConfig, auditConfig, openSink } from '../support/audit-sink.js';
import { assertOcsf } from '../support/published-schema.js';
import { tempFolder } from '../support/temp-folder.js';
import { LOADED, runCommand } from './run-command.js';

const START_MS = Date.UTC(2026, 10, 25, 4, 0, 0);
const COUNT = 200;

/** A line a second, over several files. */
async function writeLog(t: TestContext): Promise<AuditConfig> {
  const config = auditConfig(tempFolder(t), { rotate_bytes: 65_536 });
  const log = await openSink(config, { batchLines: 20 });
  for (let seq = 1; seq <= COUNT; seq++) {
    const bootNs = BigInt(seq) * 1_000_000_000n;
    const backing = { dev: 1, inode: 1n, path: 'x'.repeat(900) };
    const what = { kind: 'ioctl', command: 'LOOP_CONFIGURE', result: 'ok', backing } as const;
    log.write(formatAuditLine({ seq, bootNs, wallOffsetNs: BigInt(START_MS) * 1_000_000n, ...what }));
    if (seq % 10 === 0) await log.flush();
  }
  await log.close();
  return config;
}

function exported(config: AuditConfig, options: object = {}, args: string[] = []) {
  const command = audit.commands.find(({ name }) => name === 'export');
  assert.ok(command);
  const loaded = { ...LOADED, config: { ...LOADED.config, audit: config } };
  return runCommand(command, {}, { loaded, options, args });
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

test('without a schema it is the log, byte for byte and file after file', async (t) => {
  const config = await writeLog(t);
  const parts = listLogParts(config.path);
  assert.ok(parts.length > 2);
  const whole = parts.map(({ path }) => readFileSync(path, 'utf8')).join('');
  assert.equal(`${(await exported(config)).text}\n`, whole);
});

test('in a schema each event is one of that, in order, without checkpoints; half a line at the end is none', async (t) => {
  const config = await writeLog(t);
  appendFileSync(config.path, '{"seq":201,"time":"2026-11-25T0');
  const { printed } = await exported(config, { schema: 'ocsf', host: 'web1' });
  const events = printed.map((text) => JSON.parse(String(text)));
  assert.deepEqual(
    events.map(({ metadata }) => metadata.sequence),
    upTo(COUNT),
  );
  for (const event of events) {
    assertOcsf(event);
    assert.equal(event.device.hostname, 'web1');
  }
});

test('--since and --until, and the log of another host', async (t) => {
  const config = await writeLog(t);
  const elsewhere = tempFolder(t);
  for (const { path } of listLogParts(config.path)) cpSync(path, join(elsewhere, basename(path)));
  const nowhere = { ...config, path: '/nonexistent/audit.ndjson' };
  const at = (second: number): string => new Date(START_MS + second * 1000).toISOString();
  const options = { schema: 'ecs', since: at(3), until: at(7) };
  const { printed } = await exported(nowhere, options, [join(elsewhere, 'audit.ndjson')]);
  assert.deepEqual(
    printed.map((text) => JSON.parse(String(text)).event.sequence),
    [3, 4, 5, 6, 7],
  );
  await assert.rejects(exported(nowhere), { code: 'ERR_NO_AUDIT_LOG' });
  await assert.rejects(exported({ ...config, path: '-' }), { code: 'ERR_NO_AUDIT_LOG' });
  await assert.rejects(exported(config, { schema: 'cef' }), { code: 'ERR_USAGE' });
});
