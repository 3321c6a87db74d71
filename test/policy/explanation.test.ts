import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OWNER_CLASSES, type Owner } from '../../src/devices/owners.js';
import { RULE, RULE_NAMES } from '../../src/kernel/abi.js';
import { explainVerdict, ruleName, ruleWords } from '../../src/policy/explanation.js';

const HOST: Pick<Owner, 'class' | 'as'> = { class: 'initial', as: 'creator' };
const MADE: Pick<Owner, 'class' | 'as'> = { class: 'userns', as: 'creator' };
const HELD: Pick<Owner, 'class' | 'as'> = { class: 'userns', as: 'holder' };
const NOBODYS: Pick<Owner, 'class' | 'as'> = { class: 'unknown', as: null };
const MODES = ['off', 'observe', 'hide'] as const;

test('what a user namespace owns is hidden from the host, by the role that makes it the owner', () => {
  assert.deepEqual(explainVerdict(HELD, 'hide'), {
    verdict: 'hide',
    rule: 'holder',
    words: 'a user namespace attached its backing file',
  });
  const made = explainVerdict(MADE, 'hide');
  assert.deepEqual([made.verdict, made.rule], ['hide', 'creator']);
  assert.match(made.words, /^a user namespace made it/);
  const stacked = explainVerdict({ class: 'userns', as: 'stacked' }, 'hide');
  assert.deepEqual([stacked.verdict, stacked.rule], ['hide', 'stacked']);
});

test('what the host owns, or nobody, is delivered in every mode', () => {
  for (const mode of MODES) {
    const host = explainVerdict(HOST, mode);
    assert.deepEqual([host.verdict, host.rule], ['deliver', 'initial_owner']);
    assert.match(host.words, /belongs to the host/);
    const unknown = explainVerdict(NOBODYS, mode);
    assert.deepEqual([unknown.verdict, unknown.rule], ['deliver', 'unknown_owner']);
    assert.match(unknown.words, /treated as the host’s/);
  }
});

test('outside of the mode hide, what would be hidden is delivered, and the rule says why', () => {
  for (const mode of ['off', 'observe'] as const) {
    for (const owner of [MADE, HELD]) {
      const { verdict, rule, words } = explainVerdict(owner, mode);
      assert.deepEqual([verdict, rule], ['deliver', 'observe']);
      assert.match(words, /filter\.mode is not hide/);
    }
  }
});

test('what a rootful container owns is hidden in that scope only, and told in its own words', () => {
  for (const as of ['holder', 'creator'] as const) {
    const hidden = explainVerdict({ class: 'container', as }, 'hide', 'container');
    assert.deepEqual([hidden.verdict, hidden.rule], ['hide', as]);
    assert.match(hidden.words, /^a rootful container /);
    const shown = explainVerdict({ class: 'container', as }, 'hide', 'userns');
    assert.deepEqual([shown.verdict, shown.rule], ['deliver', 'initial_owner']);
    assert.match(shown.words, /hide\.scope is userns/);
    assert.equal(explainVerdict({ class: 'userns', as }, 'hide', 'userns').verdict, 'hide');
  }
});

test('every rule of the kernel has words', () => {
  for (const number of RULE_NAMES.keys()) assert.notEqual(ruleWords(ruleName(number)), ruleName(number));
  assert.equal(ruleWords('constructor'), 'constructor');
});

test('every rule that is given has words of its own, and one verdict: that of bpf/verdict.bpf.h', () => {
  const seen = new Map<string, string>();
  for (const kind of OWNER_CLASSES) {
    for (const as of ['holder', 'creator', 'stacked', null] as const) {
      for (const mode of MODES) {
        const { verdict, rule, words } = explainVerdict({ class: kind, as }, mode);
        const number = RULE[rule.toUpperCase() as keyof typeof RULE];
        assert.equal(verdict, number >= RULE.CREATOR ? 'hide' : 'deliver', rule);
        assert.notEqual(words, rule);
        const key = `${rule} ${kind === 'container'}`;
        assert.equal(seen.get(key) ?? words, words);
        seen.set(key, words);
      }
    }
  }
  assert.equal(new Set(seen.values()).size, seen.size);
});

test('a rule has the name of the contract, and one of a newer kernel object its number', () => {
  for (const [number, name] of RULE_NAMES) assert.equal(ruleName(number), name.toLowerCase());
  assert.equal(ruleName(99), '99');
});
