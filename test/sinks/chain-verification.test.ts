import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { listLogParts } from '../../src/sinks/log-parts.js';
import type { Finding, VerificationReport } from '../../src/sinks/verification-report.js';
import { type AuditConfig, auditConfig, lineOf, openSink, verify } from '../support/audit-sink.js';

const RUNS = Number(process.env.LOOPWARDEN_TEST_RUNS ?? 60);
let folder: string;
let template: AuditConfig;

/** Three runs over several files, the last one cleanly stopped. */
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'loopwarden-test-'));
  template = auditConfig(join(folder, 'log'), { rotate_bytes: 65_536, keep_files: 0 });
  for (let run = 0; run < 3; run++) {
    const log = await openSink(template, { batchLines: 20 });
    for (let seq = 1; seq <= 150; seq++) {
      log.write(lineOf(seq, 'x'.repeat((seq * 7) % 900)));
      if (seq % 10 === 0) await log.flush();
    }
    await log.close();
  }
});
after(() => rmSync(folder, { recursive: true }));

type Files = { path: string; lines: string[] }[];

/** The log's files, oldest first, with their lines; a last one without a newline stays so. */
function readFiles(config: AuditConfig): Files {
  return listLogParts(config.path).map(({ path }) => ({
    path,
    lines: readFileSync(path, 'latin1').match(/[^\n]*\n|[^\n]+$/g) ?? [],
  }));
}

let copies = 0;

/** A copy of the log on which `change` did its work. */
async function verifyChanged(
  change: (files: Files, config: AuditConfig) => void,
  options?: { withState?: boolean },
): Promise<VerificationReport> {
  const copy = join(folder, `copy-${copies++}`);
  cpSync(join(folder, 'log'), copy, { recursive: true, preserveTimestamps: true });
  const at = (path: string): string => path.replace(join(folder, 'log'), copy);
  const config = { ...template, path: at(template.path), key_path: at(template.key_path) };
  const state = `${config.key_path}.state`;
  writeFileSync(state, at(readFileSync(state, 'utf8')));
  const files = readFiles(config);
  change(files, config);
  const report = await verify(config, options);
  rmSync(copy, { recursive: true });
  return report;
}

const write = ({ path, lines }: { path: string; lines: string[] }): void =>
  writeFileSync(path, lines.join(''), 'latin1');

/** A finding whose lines include that place, or touch it: what was taken is between its neighbours. */
function assertPlaced({ findings, files }: VerificationReport, path: string, line: number): void {
  const order = files.map((file) => file.path);
  const place = (file: string, number: number): number => order.indexOf(file) * 1e6 + number;
  const wanted = place(path, line);
  const covers = ({ from, to }: Finding): boolean =>
    place(from.file, from.line) - 1 <= wanted && wanted <= place(to.file, to.line) + 1;
  assert.ok(findings.some(covers), `${path}:${line} is in none of ${JSON.stringify(findings, null, 1)}`);
}

/** Picks a file with lines, and a line of it. */
const anyPlace = fc.tuple(fc.nat(), fc.nat());
function pick(files: Files, [file, line]: [number, number]) {
  const filled = files.filter(({ lines }) => lines.length > 0);
  const chosen = filled[file % filled.length];
  assert.ok(chosen);
  return { file: chosen, at: line % chosen.lines.length };
}

async function check<T>(
  arbitrary: fc.Arbitrary<T>,
  property: (value: T) => Promise<void>,
  numRuns = RUNS,
): Promise<void> {
  await fc.assert(fc.asyncProperty(arbitrary, property), { numRuns });
}

test('an untouched log is fine over rotations and restarts, with and without the state', async () => {
  for (const withState of [true, false]) {
    const report = await verifyChanged(() => {}, { withState });
    assert.deepEqual(report.findings, []);
    assert.deepEqual([report.ok, report.notes], [true, []]);
    assert.ok(report.files.length >= 3, `${report.files.length} files`);
    assert.equal(report.lines - report.checkpoints, 450);
    assert.deepEqual([report.firstCheckpoint, report.unsignedLines], [1, 0]);
    assert.equal(report.checkpoints, report.lastCheckpoint);
  }
});

test('every changed byte is found, in lines and in checkpoints, and placed', async () => {
  await check(fc.tuple(anyPlace, fc.nat(), fc.integer({ min: 1, max: 255 })), async ([place, byte, flip]) => {
    let where = { path: '', line: 0 };
    const report = await verifyChanged((files) => {
      const { file, at } = pick(files, place);
      const line = file.lines[at] ?? '';
      const position = byte % line.length;
      const code = String.fromCharCode(line.charCodeAt(position) ^ flip);
      file.lines[at] = line.slice(0, position) + code + line.slice(position + 1);
      where = { path: file.path, line: at + 1 };
      write(file);
    });
    assert.equal(report.ok, false);
    assertPlaced(report, where.path, where.line);
  });
});

test('every line that is gone is found, and placed', async () => {
  await check(fc.tuple(anyPlace, fc.integer({ min: 1, max: 60 })), async ([place, count]) => {
    let where = { path: '', line: 0 };
    const report = await verifyChanged((files) => {
      const { file, at } = pick(files, place);
      file.lines.splice(at, count);
      where = { path: file.path, line: at + 1 };
      write(file);
    });
    assert.equal(report.ok, false);
    assertPlaced(report, where.path, where.line);
  });
});

test('every line that was put in is found, be it new or a copy, and placed', async () => {
  await check(fc.tuple(anyPlace, anyPlace, fc.boolean()), async ([place, from, isCopy]) => {
    let where = { path: '', line: 0 };
    const report = await verifyChanged((files) => {
      const { file, at } = pick(files, place);
      const source = pick(files, from);
      file.lines.splice(at, 0, isCopy ? (source.file.lines[source.at] ?? '') : `${lineOf(7, 'forged')}\n`);
      where = { path: file.path, line: at + 1 };
      write(file);
    });
    assert.equal(report.ok, false);
    assertPlaced(report, where.path, where.line);
  });
});

test('two lines that changed their places are found, and both placed', async () => {
  await check(fc.tuple(anyPlace, anyPlace), async ([one, other]) => {
    let places: { path: string; line: number }[] = [];
    const report = await verifyChanged((files) => {
      const a = pick(files, one);
      const b = pick(files, other);
      const [first, second] = [a.file.lines[a.at] ?? '', b.file.lines[b.at] ?? ''];
      if (first === second) return;
      a.file.lines[a.at] = second;
      b.file.lines[b.at] = first;
      places = [a, b].map(({ file, at }) => ({ path: file.path, line: at + 1 }));
      for (const { file } of [a, b]) write(file);
    });
    assert.equal(report.ok, places.length === 0);
    for (const { path, line } of places) assertPlaced(report, path, line);
  });
});

test('a file that is cut off anywhere is found, the newest one too', async () => {
  await check(fc.tuple(fc.nat(), fc.nat()), async ([which, bytes]) => {
    let cut = { path: '', line: 0 };
    const report = await verifyChanged((files) => {
      const file = files[which % files.length];
      assert.ok(file);
      const text = file.lines.join('');
      const kept = text.slice(0, bytes % text.length);
      writeFileSync(file.path, kept, 'latin1');
      cut = { path: file.path, line: kept.split('\n').length };
    });
    assert.equal(report.ok, false);
    assertPlaced(report, cut.path, cut.line);
  });
});

test('every file that is missing is found: the oldest, the newest, one between', async () => {
  const { length } = readFiles(template);
  for (let missing = 0; missing < length; missing++) {
    const report = await verifyChanged((files) => rmSync(files[missing]?.path ?? ''));
    assert.equal(report.ok, false, `file ${missing} of ${length}`);
    const kinds = report.findings.map(({ kind }) => kind);
    const expected =
      missing === 0 ? 'file_missing' : missing === length - 1 ? 'truncated' : 'checkpoint_missing';
    assert.deepEqual(kinds, [expected]);
  }
});

test('files that are missing at both ends are found at both, however many', async () => {
  const { length } = readFiles(template);
  for (let first = 0; first < length; first++) {
    for (let last = first; last < length; last++) {
      const report = await verifyChanged((files) => {
        for (const [at, { path }] of files.entries()) if (at < first || at > last) rmSync(path);
      });
      const expected = [...(first > 0 ? ['file_missing'] : []), ...(last < length - 1 ? ['truncated'] : [])];
      const kinds = report.findings.map(({ kind }) => kind);
      assert.deepEqual(kinds, expected, `files ${first} to ${last} of ${length}`);
    }
  }
});

test('names of files prove nothing and are not needed: the order is that of the checkpoints', async () => {
  const report = await verifyChanged((files, { path }) => {
    const rotated = files.slice(0, -1).toReversed();
    // As logrotate has them: 1 is the newest.
    for (const file of rotated) renameSync(file.path, `${file.path}.tmp`);
    for (const [at, file] of rotated.entries()) renameSync(`${file.path}.tmp`, `${path}.${at + 1}`);
  });
  assert.deepEqual(report.findings, []);
});

test('without the state, an end that was cut off shows only as the lack of a stop', async () => {
  const cut = (files: Files): void => {
    const file = files.at(-1);
    assert.ok(file);
    const stop = file.lines.findLastIndex((line) => line.includes('"reason":"interval"'));
    file.lines.splice(stop + 1);
    write(file);
  };
  const without = await verifyChanged(cut, { withState: false });
  assert.equal(without.ok, true);
  assert.match(without.notes.join('\n'), /without its state/);
  const report = await verifyChanged(cut);
  assert.deepEqual(
    report.findings.map(({ kind }) => kind),
    ['truncated'],
  );
});

test('lines after the agent’s stop are an insertion', async () => {
  const report = await verifyChanged((files) => {
    const file = files.at(-1);
    assert.ok(file);
    file.lines.push(`${lineOf(151)}\n`);
    write(file);
  });
  assert.deepEqual(
    report.findings.map(({ kind }) => kind),
    ['inserted'],
  );
});

test('tells which line it was where numbers show it', async () => {
  const suspectOf = async (change: (lines: string[], at: number) => void) => {
    let line = 0;
    const report = await verifyChanged((files) => {
      const file = files[1];
      assert.ok(file);
      // Within a batch: not next to a checkpoint.
      const at = file.lines.findIndex(
        (_, index) =>
          index >= 2 && file.lines.slice(index - 2, index + 3).every((each) => each.startsWith('{"seq"')),
      );
      line = at + 1;
      change(file.lines, at);
      write(file);
    });
    assert.equal(report.findings.length, 1);
    const [first] = report.findings[0]?.suspects ?? [];
    return first && { kind: first.kind, off: first.at.line - line };
  };
  assert.deepEqual(await suspectOf((lines, at) => lines.splice(at, 1)), { kind: 'deleted', off: 0 });
  assert.deepEqual(await suspectOf((lines, at) => lines.splice(at + 1, 0, lines[at] ?? '')), {
    kind: 'inserted',
    off: 1,
  });
  assert.deepEqual(await suspectOf((lines, at) => lines.splice(at, 1, 'not JSON\n')), {
    kind: 'edited',
    off: 0,
  });
  const edit = await suspectOf((lines, at) => lines.splice(at, 1, lines[at]?.replace('CLR', 'SET') ?? ''));
  assert.equal(edit, undefined);
});

/** The checkpoints of the log made anew, each by what it then stands on, and signed (or not) as `sign` does it. */
function remakeCheckpoints(files: Files, sign: (signed: string, was: string) => string): void {
  let prev = '0'.repeat(64);
  let lines: string[] = [];
  for (const file of files) {
    file.lines = file.lines.map((line) => {
      if (!line.includes('"kind":"checkpoint"')) {
        lines.push(line);
        return line;
      }
      const hash = sha256(lines.join(''));
      const [head = '', was = ''] = line.split(',"sig":');
      const signed = head
        .replace(/"lines":\d+/, `"lines":${lines.length}`)
        .replace(/"prev":"\w+","hash":"\w+"/, `"prev":"${prev}","hash":"${hash}"`);
      const made = sign(signed, was);
      prev = sha256(made);
      lines = [];
      return made;
    });
    write(file);
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex');

test('who has the log but not the key can change no line, however he makes the checkpoints anew', async () => {
  const own = generateKeyPairSync('ed25519');
  const ownId = createHash('sha256')
    .update(own.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16);
  const bySelf = (text: string): string =>
    `${text},"sig":"${sign(null, Buffer.from(text, 'latin1'), own.privateKey).toString('base64')}"}\n`;
  const ways = {
    'the signatures as they were': (signed: string, was: string) => `${signed},"sig":${was}`,
    'signed by a key of his own under the name of ours': (signed: string) => bySelf(signed),
    'signed by a key of his own': (signed: string) =>
      bySelf(signed.replace(/"key":"\w+"/, `"key":"${ownId}"`)),
  };
  for (const [way, signAnew] of Object.entries(ways)) {
    await check(
      fc.tuple(fc.nat(), fc.constantFrom('edit', 'delete', 'insert')),
      async ([which, how]) => {
        const report = await verifyChanged((files) => {
          const lines = files.flatMap((file) =>
            file.lines.flatMap((line, at) => (line.startsWith('{"seq"') ? [{ file, at }] : [])),
          );
          const { file, at } = lines[which % lines.length] ?? assert.fail();
          const line = file.lines[at] ?? '';
          const forged = line.replace('LOOP_CLR_FD', 'LOOP_SET_FD');
          file.lines.splice(at, how === 'insert' ? 0 : 1, ...(how === 'delete' ? [] : [forged]));
          remakeCheckpoints(files, signAnew);
        });
        assert.equal(report.ok, false, way);
      },
      Math.ceil(RUNS / 6),
    );
    // Not a line is changed, but nothing vouches for that any more.
    const report = await verifyChanged((files) => remakeCheckpoints(files, signAnew));
    const expected = way.startsWith('the signatures')
      ? []
      : [way.endsWith('own') ? 'unknown_key' : 'checkpoint_altered'];
    assert.deepEqual(
      [...new Set(report.findings.map(({ kind }) => kind))].filter((kind) => kind !== 'truncated'),
      expected,
    );
  }
});

test('who has the log but not the key can put back nothing older, take nothing away and put no other log in its place', async () => {
  const kinds = async (change: (files: Files, config: AuditConfig) => void): Promise<string[]> => {
    const { findings } = await verifyChanged(change);
    return [...new Set(findings.map(({ kind }) => kind))];
  };
  const withoutCheckpoints = await kinds((files) => {
    for (const file of files) {
      file.lines = file.lines.filter((line) => !line.includes('"kind":"checkpoint"'));
      write(file);
    }
  });
  assert.deepEqual(withoutCheckpoints, ['unsigned', 'truncated']);
  // A backup of the whole log from before its last run.
  const older = await kinds((files) => {
    let runs = 0;
    for (const file of files) {
      file.lines = file.lines.filter((line) => {
        if (line.includes('"reason":"start"')) runs++;
        return runs < 3;
      });
      if (file.lines.length > 0) write(file);
      else rmSync(file.path);
    }
  });
  assert.deepEqual(older, ['truncated']);
  assert.deepEqual(await kinds((files) => files.forEach(({ path }) => void rmSync(path))), ['truncated']);
  // Signed by the same key, but not by this one's state.
  const other = {
    ...template,
    path: join(folder, 'other', 'audit.ndjson'),
    key_path: join(folder, 'other', 'key'),
  };
  cpSync(template.key_path, other.key_path);
  const log = await openSink(other);
  log.write(lineOf(1));
  await log.close();
  const replaced = await kinds((files, config) => {
    for (const { path } of files) rmSync(path);
    cpSync(other.path, config.path);
  });
  assert.deepEqual(replaced, ['other_chain']);
});
