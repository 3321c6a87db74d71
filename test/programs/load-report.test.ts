/** What the loader tells the agent has room in its map, whatever kernel and verifier say. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { HOOKS, linkOf } from '../../src/kernel/hooks.js';
import {
  keepLoadReport,
  LOAD_REPORT,
  type LoadReport,
  readLoadReport,
} from '../../src/kernel/load-report.js';
import { loadNative } from '../../src/kernel/native.js';
import { loadPrograms } from '../../src/kernel/programs.js';

const programs = loadPrograms(loadNative(), { programs: [], reuse: new Map(), sizes: {} });
after(() => programs.close());
const map = programs.map(LOAD_REPORT);

function reportOf(reason: string): LoadReport {
  return {
    build: 'b'.repeat(64),
    objects: 'o'.repeat(64),
    outcomes: HOOKS.map(({ name, links }) => ({
      hook: name,
      outcomes: links.map(({ kind }, at) =>
        at === links.length - 1
          ? { state: 'attached' as const, link: kind }
          : { state: 'failed' as const, link: kind, error: reason },
      ),
    })),
    programs: HOOKS.flatMap(({ links }) => links.flatMap((link) => link.programs)).map((name) => ({
      name,
      verifiedInstructions: 999_999,
    })),
    networkNamespace: 4_026_531_833,
  };
}

test('nothing is there before the first load, and nothing is made of what is no report', () => {
  assert.equal(readLoadReport(undefined), undefined);
  assert.equal(readLoadReport(map), undefined);
  for (const text of ['{"format":0}', '{', 'null', 'x'.repeat(map.valueSize)]) {
    const value = Buffer.alloc(map.valueSize);
    value.write(text);
    map.put(Buffer.alloc(4), value);
    assert.equal(readLoadReport(map), undefined, text.slice(0, 20));
  }
});

test('a report comes back as it was, with what is longer than a line cut', () => {
  const short = reportOf('EPERM: the kernel said no');
  keepLoadReport(map, short);
  const { format, ...read } = readLoadReport(map) as LoadReport & { format: number };
  assert.deepEqual(read, short);
  assert.equal(typeof format, 'number');
  for (const reason of ['x', '\0', '\u2028', '💿'].map((each) => each.repeat(100_000))) {
    keepLoadReport(map, reportOf(reason));
    const cut = readLoadReport(map);
    assert.equal(cut?.outcomes.length, HOOKS.length);
    for (const { hook, outcomes } of cut?.outcomes ?? [])
      assert.equal(linkOf(hook, outcomes), HOOKS.find(({ name }) => name === hook)?.links.at(-1));
  }
});
