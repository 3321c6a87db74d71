/** Into the journal of a real systemd-journald. */
import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatAuditLine } from '../../src/sinks/audit-line.js';
import type { AuditRecord } from '../../src/sinks/audit-record.js';
import { openSchema } from '../../src/sinks/audit-schema.js';
import { journalEntry } from '../../src/sinks/journal-entry.js';
import { type JournaldOutputOptions, openJournaldOutput } from '../../src/sinks/journald-output.js';
import { HOSTILE_NAMES } from '../commands/terminal.js';
import { lineOf } from '../support/audit-sink.js';
import { type Journald, startJournald } from '../support/journald.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';
import { watchOutput } from '../support/watched-output.js';

const native = await openSchema('native');

function openOutput(t: TestContext, path: string, more: Partial<JournaldOutputOptions> = {}) {
  return watchOutput(t, (timing) => openJournaldOutput({ map: native, path, ...timing, ...more }));
}

const entriesOf = (journald: Journald, count: number) =>
  eventually(`${count} entries`, async () => {
    const entries = await journald.entries();
    return entries.length >= count && entries;
  });

function recordOf(more: Partial<AuditRecord> = {}, comm = 'losetup'): AuditRecord {
  return {
    seq: 7,
    bootNs: 5_000_000_000n,
    wallOffsetNs: 1_700_000_000_000_000_000n,
    kind: 'ioctl',
    command: 'LOOP_CONFIGURE',
    device: { name: 'loop3', devno: (7 << 20) | 3, diskseq: 9n },
    result: 'ok',
    caller: {
      pid: 100,
      tid: 101,
      startBootNs: 1n,
      comm,
      uid: 0,
      gid: 0,
      userns: { id: 2n ** 60n, inum: 4_026_531_837, level: 0, ownerUid: 0 },
      pidns: 1,
      mntns: 1,
      netns: 1,
      cgroupId: 1n,
    },
    ...more,
  };
}

test('an entry says what happened in a few words, and has each field of the line, and the line', async (t) => {
  const journald = await startJournald(t);
  const { output } = openOutput(t, journald.socket);
  const container = { runtime: 'docker', id: 'abc', name: 'web' };
  const config = { offset: 0n, sizelimit: 0n, flags: 5, blockSize: 512 };
  const line = formatAuditLine(recordOf({ container, config }));
  output.take(line);
  output.take(formatAuditLine(recordOf({ result: 'EBUSY' })));
  const [entry, failed] = await entriesOf(journald, 2);
  assert.ok(entry && failed);
  const { MESSAGE, PRIORITY, LOOPWARDEN_KIND, LOOPWARDEN_CALLER_PID, LOOPWARDEN_CALLER_USERNS_ID } = entry;
  assert.equal(MESSAGE, 'LOOP_CONFIGURE loop3: ok, losetup[100] in docker/web');
  assert.deepEqual(
    [PRIORITY, LOOPWARDEN_KIND, LOOPWARDEN_CALLER_PID, LOOPWARDEN_CALLER_USERNS_ID],
    ['6', 'ioctl', '100', String(2n ** 60n)],
  );
  assert.deepEqual(entry.LOOPWARDEN_CONFIG_FLAGS, ['READ_ONLY', 'AUTOCLEAR']);
  assert.equal(entry.LOOPWARDEN_LINE, line);
  // What journald itself says of the sender.
  assert.equal(entry._PID, String(process.pid));
  assert.deepEqual([failed.PRIORITY, failed.LOOPWARDEN_RESULT], ['4', 'EBUSY']);
  assert.deepEqual(output.counts(), { sent: 2, queue_full: 0, rejected: 0, abandoned: 0 });
});

test('whatever a process or a file is called, it is one field of one entry', async (t) => {
  const journald = await startJournald(t);
  const { output } = openOutput(t, journald.socket);
  const forged = 'x\nPRIORITY=0\nMESSAGE=forged\n\nLOOPWARDEN_RESULT=ok';
  const names = [
    ...Object.values(HOSTILE_NAMES),
    forged,
    'a=b',
    '',
    '\n',
    'LOOPWARDEN_X\n\u0008\0\0\0\0\0\0\0',
  ];
  for (const name of names) {
    const record = recordOf({ backing: { dev: 1, inode: 1n, path: name } }, name);
    output.take(formatAuditLine(record, 65_536));
  }
  const entries = await entriesOf(journald, names.length);
  assert.equal(entries.length, names.length);
  for (const [at, name] of names.entries()) {
    const entry = entries[at] ?? {};
    // Half a character is none in UTF-8.
    const wanted = Buffer.from(name).toString();
    assert.equal(entry.LOOPWARDEN_CALLER_COMM, wanted);
    assert.equal(entry.LOOPWARDEN_BACKING_PATH, wanted);
    assert.deepEqual([entry.PRIORITY, entry.LOOPWARDEN_RESULT], ['6', 'ok']);
    assert.doesNotMatch(String(entry.MESSAGE), /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
    const ours = Object.keys(entry).filter((field) => field.startsWith('LOOPWARDEN_'));
    assert.deepEqual(
      ours.filter((field) => field === 'LOOPWARDEN_X'),
      [],
    );
  }
});

test('the longest line that there is fits into an entry', async (t) => {
  const journald = await startJournald(t);
  const { output } = openOutput(t, journald.socket);
  const long = 'x'.repeat(4096);
  const container = { runtime: long, id: long, name: long, pod: long, source: long };
  const more = { command: long, device: { name: long, devno: 0 }, container, verdict: long, rule: long };
  const line = formatAuditLine(
    recordOf({ ...more, backing: { dev: 1, inode: 1n, path: long } }, long),
    65_536,
  );
  assert.ok(line.length > 40_000);
  // Worse than any: as long as a line may be, all of it in one field as well.
  const worst = `{"kind":"agent","command":"${'y'.repeat(65_000)}"}`;
  for (const each of [line, worst]) output.take(each);
  const entries = await entriesOf(journald, 2);
  assert.deepEqual(
    entries.map((entry) => entry.LOOPWARDEN_LINE),
    [line, worst],
  );
});

test('in another schema the line is that', async (t) => {
  const journald = await startJournald(t);
  const { output } = openOutput(t, journald.socket, { map: await openSchema('ecs', 'node1') });
  output.take(formatAuditLine(recordOf()));
  const [entry] = await entriesOf(journald, 1);
  assert.equal(JSON.parse(String(entry?.LOOPWARDEN_LINE)).event.action, 'LOOP_CONFIGURE');
});

test('a journal that is not there yet gets everything when it comes', async (t) => {
  const path = join(tempFolder(t), 'socket');
  const { output, states } = openOutput(t, path);
  for (let n = 1; n <= 200; n++) output.take(lineOf(n));
  await eventually('it says that it fails', () => states.length === 1);
  assert.equal(states[0], `${path}: ENOENT`);
  const journald = await startJournald(t);
  symlinkSync(journald.socket, path);
  const entries = await entriesOf(journald, 200);
  assert.deepEqual(
    entries.map((entry) => Number(entry.LOOPWARDEN_SEQ)),
    Array.from({ length: 200 }, (_, at) => at + 1),
  );
  assert.deepEqual(states.slice(1), [undefined]);
});

test('one that hangs costs a bounded queue; what waits is there when it goes on, and the end does not wait', async (t) => {
  const journald = await startJournald(t);
  const { output, states } = openOutput(t, journald.socket, { queueChars: 100_000, busyMs: 100 });
  journald.signal('SIGSTOP');
  const startMs = performance.now();
  // Beyond what the kernel keeps for it.
  for (let n = 1; n <= 5000; n++) {
    output.take(lineOf(n, 'x'.repeat(300)));
    if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(performance.now() - startMs < 3000, 'nothing waited for it');
  await eventually('it says that it has no room', () => states.length === 1);
  assert.match(states[0] ?? '', /EAGAIN$/);
  const { sent, queue_full: full } = output.counts();
  assert.ok(full > 0 && sent < 5000, `${sent} sent, ${full} found the queue full`);
  journald.signal('SIGCONT');
  await eventually('the rest is sent', () => output.counts().sent === 5000 - full);
  const entries = await entriesOf(journald, 5000 - full);
  const seqs = entries.map((entry) => Number(entry.LOOPWARDEN_SEQ));
  assert.deepEqual(
    seqs,
    [...new Set(seqs)].sort((a, b) => a - b),
    'in order, and none twice',
  );
  assert.deepEqual(states.slice(1), [undefined]);

  journald.signal('SIGSTOP');
  const { output: last } = openOutput(t, journald.socket, { closeMs: 100 });
  for (let n = 1; n <= 2000; n++) last.take(lineOf(n));
  const closeMs = performance.now();
  await last.close();
  assert.ok(performance.now() - closeMs < 2000);
  const counts = last.counts();
  assert.ok(counts.abandoned > 0);
  assert.equal(counts.sent + counts.abandoned, 2000);
});

test('a name that the protocol does not take is no field', () => {
  const fields = { 'bad=name\n': 'x', ok: 'y' } as object;
  assert.equal(
    journalEntry(fields, '{}').toString(),
    'MESSAGE=event\nPRIORITY=6\nSYSLOG_IDENTIFIER=loopwarden\nLOOPWARDEN_LINE={}\nLOOPWARDEN_OK=y\n',
  );
});
