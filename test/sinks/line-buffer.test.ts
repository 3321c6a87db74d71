import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLineBuffer } from '../../src/sinks/line-buffer.js';

test('any sequence of pushes and partial writes gives the lines in order, each counted once', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ line: fc.string({ maxLength: 20 }).map((text) => text.replaceAll('\n', '')) }),
      fc.record({ take: fc.integer({ min: 1, max: 40 }) }),
    ),
  );
  fc.assert(
    fc.property(steps, (list) => {
      const buffer = createLineBuffer(200);
      const taken: string[] = [];
      let lines = 0;
      const parts: Buffer[] = [];
      for (const step of list) {
        if ('line' in step) {
          if (buffer.push(step.line)) taken.push(step.line);
          continue;
        }
        const bytes = buffer.next()?.subarray(0, step.take);
        if (bytes === undefined) continue;
        parts.push(Buffer.from(bytes));
        lines += buffer.advance(bytes.length);
      }
      const written = Buffer.concat(parts).toString();
      const whole = taken.map((line) => `${line}\n`).join('');
      assert.ok(whole.startsWith(written));
      assert.equal(lines, written.split('\n').length - 1);
      assert.equal(lines + buffer.discard(), taken.length);
      assert.equal(buffer.isEmpty(), true);
    }),
  );
});

test('a line that finds no room is refused, and there is room again after writing', () => {
  const buffer = createLineBuffer(10);
  assert.equal(buffer.push('12345678'), true);
  assert.equal(buffer.push('1'), false);
  assert.equal(buffer.advance(buffer.next()?.length ?? 0), 1);
  assert.equal(buffer.push('1'), true);
});

test('a rewound line is written whole again, lines before it are not', () => {
  const buffer = createLineBuffer(100);
  for (const line of ['one', 'two', 'three']) buffer.push(line);
  buffer.next();
  assert.equal(buffer.advance(6), 1);
  buffer.rewindLine();
  assert.equal(buffer.next()?.toString(), 'two\nthree\n');
  assert.equal(buffer.discard(), 2);
});
