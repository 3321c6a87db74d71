import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAgentLog } from '../../src/sinks/agent-log.js';

function logged(human: boolean): { log: ReturnType<typeof createAgentLog>; lines: string[] } {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  return { log: createAgentLog({ level: 'info', human, stream }), lines };
}

test('off a terminal a line is JSON', () => {
  const { log, lines } = logged(false);
  log.info({ hook: 'ioctl' }, 'attached');
  log.debug('not at this level');
  assert.equal(lines.length, 1);
  const { level, hook, msg, time } = JSON.parse(lines[0] ?? '');
  assert.deepEqual({ level, hook, msg }, { level: 30, hook: 'ioctl', msg: 'attached' });
  assert.match(time, /^\d{4}-\d\d-\d\dT/);
});

test('on a terminal a line is short, and nothing in it steers the terminal', () => {
  const { log, lines } = logged(true);
  log.warn({ comm: 'a\u001b[2J', count: 3 }, 'seen\u202e');
  assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d warn {2}"seen\\u202e" comm="a\\u001b\[2J" count=3\n$/);
});
