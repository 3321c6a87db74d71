/** The units of systemd: how much of the host they leave open, by systemd's own measure. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { LOOPFS_CAPABILITIES } from '../../src/loopfs/capabilities.js';
import { settingOf as readSetting } from '../support/agent-unit.js';
import { command } from '../support/shell.js';

const UNITS = join(PACKAGE_ROOT, 'packaging/systemd');
/** Tenths of 10; decision 10 says why the agent's is not lower. */
const MOST = { 'loopwarden.service': 15, 'loopwarden-loopfs.service': 35 } as const;
/** Numbers of linux/capability.h. */
const NUMBERS: Record<string, number> = {
  CAP_DAC_READ_SEARCH: 2,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SYS_CHROOT: 18,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_MKNOD: 27,
};

const settingOf = (unit: string, key: string): string => readSetting(key, join(UNITS, unit));

for (const [unit, most] of Object.entries(MOST))
  test(`${unit} is exposed by at most ${most / 10}`, async () => {
    const words = ['security', '--offline=true', '--no-pager', `--threshold=${most}`, join(UNITS, unit)];
    const { code, stdout, stderr } = await command('systemd-analyze', words);
    assert.equal(code, 0, `${stdout.split('\n').at(-2)} ${stderr}`);
    assert.doesNotMatch(stderr, /Unknown|Failed/);
    // It would fail with a lower one: the measure is taken.
    const { code: refused } = await command('systemd-analyze', words.with(3, '--threshold=1'));
    assert.notEqual(refused, 0);
  });

test('the unit of loopfs bounds what its process keeps by itself', () => {
  const named = settingOf('loopwarden-loopfs.service', 'CapabilityBoundingSet').split(' ');
  const mask = named.reduce((bits, name) => bits | (1 << (NUMBERS[name] ?? Number.NaN)), 0);
  assert.equal(mask, LOOPFS_CAPABILITIES);
});

test('the socket listens where the config says by default', () => {
  assert.equal(settingOf('loopwarden.socket', 'ListenStream'), '127.0.0.1:9847');
});

test('man pages that the units name are there', () => {
  for (const unit of [...Object.keys(MOST), 'loopwarden.socket'])
    for (const word of settingOf(unit, 'Documentation').split(' ')) {
      const page = /^man:(.+)\((\d)\)$/.exec(word);
      assert.ok(page, `${unit}: ${word}`);
      assert.ok(existsSync(join(PACKAGE_ROOT, `packaging/man/${page[1]}.${page[2]}`)), word);
    }
});
