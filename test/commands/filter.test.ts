import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filter } from '../../src/commands/filter.js';
import { runCommand } from './run-command.js';

test('filter turns its words into modes, and refuses any other', async () => {
  for (const [word, mode] of [
    ['on', 'hide'],
    ['off', 'off'],
    ['observe', 'observe'],
  ] as const) {
    const answers = { request: { '/api/v1/filter': { filterMode: mode } } };
    const { asked, text } = await runCommand(filter, answers, { args: [word] });
    assert.deepEqual(asked, [['PUT', '/api/v1/filter', { mode }]]);
    assert.equal(text, `filter is ${word}`);
  }
  for (const word of ['', 'hide', 'ON', 'constructor', '__proto__'])
    await assert.rejects(runCommand(filter, {}, { args: [word] }), { code: 'ERR_USAGE' });
});
