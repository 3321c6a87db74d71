import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusedMajors } from '../../src/loopfs/device-cgroup.js';
import { deviceRules } from '../../src/loopfs/device-rules.js';

const DENY_ALL = { allow: false, access: 'rwm' };

test('the last rule that matches counts, and no rule at all restricts nothing', () => {
  const cases: [string, unknown[], number[]][] = [
    ['none', [], []],
    ['deny all', [DENY_ALL], [7, 259]],
    ['ours', [DENY_ALL, ...deviceRules()], []],
    ['ours, then deny all', [...deviceRules(), DENY_ALL], [7, 259]],
    ['allow all', [{ allow: true, type: 'a', access: 'rwm' }], []],
    ['disks only', [DENY_ALL, { allow: true, type: 'b', major: 7, access: 'rw' }], [259]],
    ['reading only', [DENY_ALL, { allow: true, type: 'b', access: 'r' }], [7, 259]],
    [
      'in two rules',
      [DENY_ALL, { allow: true, type: 'b', access: 'r' }, { allow: true, type: 'b', access: 'w' }],
      [],
    ],
    ['characters', [DENY_ALL, { allow: true, type: 'c', access: 'rwm' }], [7, 259]],
    ['one minor', [DENY_ALL, { allow: true, type: 'b', major: 7, minor: 3, access: 'rwm' }], [7, 259]],
    ['any, as a number', [DENY_ALL, { allow: true, type: 'b', major: -1, minor: -1, access: 'rwm' }], []],
    ['what is no rule', [null, 7, 'x', DENY_ALL], [7, 259]],
  ];
  for (const [what, devices, refused] of cases) assert.deepEqual(refusedMajors(devices), refused, what);
});
