import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createError, ERRORS, exitCodeOf, LoopwardenError, renderErrorLine } from '../src/errors.js';

test('an error is one line: place, message and next step', () => {
  const error = createError('ERR_AUDIT_LOG', { path: '/x/y', reason: 'no space' }, { where: 'audit.path' });
  assert.ok(error instanceof LoopwardenError);
  assert.equal(
    renderErrorLine(error),
    'loopwarden: audit.path: cannot open the audit log /x/y: no space; make the folder writable, or name another file with --audit-log (- is stdout)',
  );
});

test('a hostile name cannot break the line or steer the terminal', () => {
  const line = renderErrorLine(createError('ERR_NO_SUCH_DEVICE', { device: 'a\nb\u001b[2J\u202e{path}' }));
  assert.match(line, /a\\u000ab\\u001b\[2J\\u202e\{path\}/);
  assert.doesNotMatch(line, /\p{Cc}/u);
});

test('what is thrown without a code is an internal error', () => {
  assert.match(renderErrorLine(new TypeError('oops')), /^loopwarden: internal error: oops; /);
  assert.equal(exitCodeOf(new TypeError('oops')), 1);
});

test('exit codes are those of the contract', () => {
  const expected = {
    ERR_USAGE: 2,
    ERR_NOT_ROOT: 77,
    ERR_NO_BTF: 78,
    ERR_AGENT_NOT_RUNNING: 69,
    ERR_NO_SUCH_DEVICE: 1,
  };
  for (const [code, exitCode] of Object.entries(expected)) {
    assert.equal(ERRORS[code as keyof typeof expected].exitCode, exitCode, code);
  }
  const allowed = new Set<number>([1, 2, 69, 77, 78]);
  for (const [code, { exitCode }] of Object.entries(ERRORS)) assert.ok(allowed.has(exitCode), code);
});

test('the cause is kept', () => {
  const cause = new Error('inner');
  assert.equal(createError('ERR_INTERNAL', { reason: 'outer' }, { cause }).cause, cause);
});
