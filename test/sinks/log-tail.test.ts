import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { entryOfAggregate } from '../../src/sinks/audit-events.js';
import { formatAuditLine } from '../../src/sinks/audit-line.js';
import { readWrittenKeys, recordKey, removeTornLine } from '../../src/sinks/log-tail.js';
import { aggregateOf } from '../event-fixture.js';
import { tempFolder } from '../support/temp-folder.js';

const line = (bootNs: number, tid: number): string =>
  `{"seq":1,"time":"x","boot_ns":${bootNs},"kind":"ioctl","command":"LOOP_CLR_FD","caller":{"pid":1,"tid":${tid},"uid":0}}`;

test('names the records of the lines, but not of one that was cut', (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  writeFileSync(
    path,
    `${line(10, 7)}\n{"seq":2,"boot_ns":11,"kind":"agent"}\n${line(12, 8)}\n${line(13, 9)}`,
  );
  assert.deepEqual([...readWrittenKeys(path)], [recordKey(10n, 7), recordKey(12n, 8)]);
});

test('names what was counted by its last event, as its line does', (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  const entry = entryOfAggregate(aggregateOf({ lastBootNs: 77n }), undefined);
  writeFileSync(path, `${formatAuditLine({ ...entry, seq: 1, wallOffsetNs: 0n })}\n`);
  assert.deepEqual([...readWrittenKeys(path)], [recordKey(77n, 101)]);
});

test('takes off only what has no end', (t) => {
  const path = join(tempFolder(t), 'audit.ndjson');
  for (const [before, after] of [
    [`${line(1, 1)}\n${line(2, 2).slice(0, 40)}`, `${line(1, 1)}\n`],
    [`${line(1, 1)}\n`, `${line(1, 1)}\n`],
    ['{"seq"', ''],
    ['', ''],
  ] as const) {
    writeFileSync(path, before);
    removeTornLine(path);
    assert.equal(readFileSync(path, 'utf8'), after);
  }
});

test('has nothing to say of a log that is no file', (t) => {
  for (const path of ['-', join(tempFolder(t), 'none'), '/dev/null']) {
    removeTornLine(path);
    assert.deepEqual([...readWrittenKeys(path)], []);
  }
});
