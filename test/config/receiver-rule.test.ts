import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '../../src/config/file.js';
import { PRESET_NAMES } from '../../src/config/receiver-presets.js';
import { parseReceiverRules, receiverRulesOf } from '../../src/config/receiver-rule.js';
import { LoopwardenError, renderErrorLine } from '../../src/errors.js';

test('a path without a word before it is an executable, as it always was', () => {
  const text = '/usr/bin/a:b c';
  assert.deepEqual(parseReceiverRules(text), [{ kind: 'executable', path: text, text }]);
});

test('each kind of rule is read', () => {
  for (const [text, rule] of [
    ['unit:incus.service', { kind: 'unit', name: 'incus.service' }],
    ['unit:a\\x2db@1:2.scope', { kind: 'unit', name: 'a\\x2db@1:2.scope' }],
    ['cgroup:/kubepods.slice/x', { kind: 'cgroup', path: '/kubepods.slice/x' }],
    ['userns:4026532101', { kind: 'userns', number: 4026532101n }],
    ['container:shop-web', { kind: 'container', name: 'shop-web' }],
    ['container:ns/pod-*/c', { kind: 'container', name: 'ns/pod-*/c' }],
  ] as const)
    assert.deepEqual(parseReceiverRules(text), [{ ...rule, text }]);
});

test('a preset is its rules, and each is told by both names', () => {
  for (const name of PRESET_NAMES) {
    const rules = receiverRulesOf(`preset:${name}`);
    assert.ok(rules.length > 0);
    for (const { text } of rules)
      assert.match(text, new RegExp(`^preset:${name} \\((unit|container):.+\\)$`));
  }
});

test('what would let in too many, or can be met by nobody, is refused with a reason', () => {
  for (const [text, reason] of [
    ['udevd', /absolute path, or begin with unit:/],
    ['units:a.service', /or begin with unit:/],
    ['', /absolute path/],
    ['/a\0b', /absolute path/],
    ['unit:incus', /service or scope/],
    ['unit:user.slice', /service or scope/],
    ['unit:../a.service', /service or scope/],
    ['cgroup:/', /below the root/],
    ['cgroup:a', /absolute path/],
    ['cgroup:/a/../b', /without \. and \.\./],
    ['cgroup:/a/', /absolute path/],
    ['userns:0', /a number/],
    ['userns:4026531837', /host’s own/],
    ['userns:3', /host’s own/],
    ['userns:0x10', /a number/],
    ['container:', /a name/],
    ['container:*', /only at the end of POD/],
    ['container:*/pod/c', /only at the end of POD/],
    ['container:a/b/c/d', /NAMESPACE\/POD\/CONTAINER/],
    ['preset:everybody', /preset:incusd, preset:csi-drivers/],
    ['preset:constructor', /preset:incusd/],
  ] as const) {
    const parsed = parseReceiverRules(text);
    assert.equal(typeof parsed, 'string', text);
    assert.match(String(parsed), reason);
  }
});

test('a wrong entry is refused where it stands in the list', () => {
  const text = 'receivers:\n  allow:\n    - /usr/bin/udevadm\n    - unit:incus\n';
  try {
    parseConfig('c.yaml', text);
  } catch (error) {
    assert.ok(error instanceof LoopwardenError);
    assert.match(
      renderErrorLine(error),
      /c\.yaml:4:7: receivers\.allow cannot be "unit:incus": must be unit: and /,
    );
    return;
  }
  assert.fail('it was taken');
});
