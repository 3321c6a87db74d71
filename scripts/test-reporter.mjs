/**
 * A reporter of node:test for scripts/test.sh: one line, `passed failed skipped`, after the last event, and one line
 * `failed: FILE: NAME` for each that failed, `skipped: …` for each that was not run.
 *
 * Suites are no tests. A file without any test is reported by Node as one passed test with the file's name; it counts
 * as failed here, since a file that ends before its tests would pass silently.
 */
import { relative, resolve } from 'node:path';

// biome-ignore lint/style/noDefaultExport: node:test takes nothing else
export default async function* countResults(events) {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const named = [];
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const { name, file, skip, todo, details } = data;
    if (details?.type === 'suite') continue;
    const isFile = data.nesting === 0 && file !== undefined && resolve(name) === resolve(file);
    const place = relative('.', file ?? '');
    if (isSet(skip) || isSet(todo)) {
      skipped += 1;
      named.push(`skipped: ${place}: ${name}\n`);
    } else if (type === 'test:pass' && !isFile) passed += 1;
    else {
      failed += 1;
      const what = isFile ? (type === 'test:pass' ? 'has no test' : 'ended with an error') : name;
      named.push(`failed: ${place}: ${what}\n`);
    }
  }
  yield `${passed} ${failed} ${skipped}\n${named.join('')}`;
}

/** `test.skip('…')` sets true, `{ skip: 'why' }` the text, an empty one included. */
function isSet(mark) {
  return mark !== undefined && mark !== false && mark !== null;
}
