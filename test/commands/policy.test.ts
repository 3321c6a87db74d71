/** `policy check` as a user has it: what it refuses, and what it says. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { describePolicy, renderPolicy } from '../../src/commands/policy-words.js';
import { loadConfig } from '../../src/config/load.js';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { command, type Outcome } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { assertHarmless, HOSTILE_NAMES } from './terminal.js';

before(() => void execFileSync('bash', [join(PACKAGE_ROOT, 'scripts/build-ts.sh')], { stdio: 'ignore' }));

function check(t: TestContext, yaml: string, ...more: string[]): Promise<Outcome> {
  const path = join(tempFolder(t), 'config.yaml');
  writeFileSync(path, yaml);
  return command(process.execPath, [join(PACKAGE_ROOT, 'dist/main.js'), 'policy', 'check', path, ...more]);
}

test('an unknown key is refused with its line and column', async (t) => {
  const { code, stdout, stderr } = await check(t, 'filter:\n  mode: hide\n  moed: off\n');
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(
    stderr,
    /^loopwarden: [^\n]*config\.yaml:3:3: unknown key "filter\.moed"; did you mean "filter\.mode"\?\n$/,
  );
  assert.match((await check(t, 'filtre:\n  mode: hide\n')).stderr, /config\.yaml:1:1: unknown key "filtre"/);
  assert.match((await check(t, 'http:\n  port: x\n')).stderr, /config\.yaml:2:9: http\.port cannot be/);
  assert.equal((await check(t, '{')).code, 2);
});

test('a good file is told in words, with where each value comes from', async (t) => {
  const { code, stdout, stderr } = await check(t, 'filter:\n  mode: observe\naudit:\n  kinds: [life]\n');
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^uevents +all are delivered; those that would be hidden are only counted$/m);
  assert.match(stdout, /^audit +every end of a device’s life: /m);
  assert.match(stdout, /^set by +filter\.mode \(\S+config\.yaml:2\), audit\.kinds \(\S+config\.yaml:4\)$/m);
  assert.match(stdout, /^warning: audit\.kinds lacks ioctl/m);
  const json = JSON.parse((await check(t, 'filter:\n  mode: observe\n', '--json')).stdout);
  assert.deepEqual([json.config.filter.mode, json.warnings], ['observe', []]);
});

test('what is done with nodes and orphans is told', async (t) => {
  const before = await check(t, '');
  assert.match(before.stdout, /^nodes +of all devices are in the host’s \/dev/m);
  assert.match(before.stdout, /^orphans +.* stay as they are/m);
  const { stdout } = await check(
    t,
    'hide: {devnode: true}\nreap: {mode: detach-and-remove, grace_seconds: 60}\n',
  );
  assert.match(stdout, /^nodes +.* are out of the host’s \/dev until it lets go$/m);
  assert.match(
    stdout,
    /^orphans +.* detached after 60 s, if nothing uses them, and removed if it made them$/m,
  );
});

test('flags outweigh the file, as they do for the agent', async (t) => {
  const { stdout } = await check(t, 'filter:\n  mode: observe\n', '--filter-mode', 'hide');
  assert.match(stdout, /^uevents +of devices that a user namespace owns, the host’s udev /m);
  assert.match(stdout, /^set by +filter\.mode \(--filter-mode\)$/m);
});

test('the file that is checked counts, not a broken one elsewhere; one that is not there is an error', async (t) => {
  const broken = join(tempFolder(t), 'broken.yaml');
  writeFileSync(broken, 'nonsense: 1\n');
  assert.equal((await check(t, '', '--config', broken)).code, 0);
  const { code, stderr } = await command(process.execPath, [
    join(PACKAGE_ROOT, 'dist/main.js'),
    'policy',
    'check',
    '/nonexistent',
  ]);
  assert.equal(code, 2);
  assert.match(stderr, /there is no such file/);
});

test('the defaults warn of nothing; what weakens the policy is warned of', () => {
  const words = (flags: Record<string, string>): string[] =>
    describePolicy(loadConfig({ defaultPath: '/nonexistent/config.yaml', flags })).warnings;
  assert.deepEqual(words({}), []);
  assert.equal(words({ 'filter.mode': 'off' }).length, 1);
  assert.equal(words({ 'http.address': '0.0.0.0' }).length, 1);
  assert.deepEqual(words({ 'http.address': '::1' }), []);
  assert.equal(words({ 'receivers.allow': '/nonexistent/udevd,/bin/sh' }).length, 1);
  assert.equal(words({ 'limits.recent_events': '0' }).length, 1);
  assert.equal(words({ 'hide.devnode': 'true' }).length, 0);
  assert.equal(words({ 'hide.devnode': 'true', 'filter.mode': 'observe' }).length, 1);
  assert.equal(words({ 'reap.mode': 'detach', 'audit.kinds': 'ioctl' }).length, 2);
  assert.ok(words({ 'hooks.avoid': 'fentry,fexit,fmod_ret,lsm,kprobe,tp_btf,socket_filter' }).length >= 1);
});

test('what the outputs mean is told, and which of them others on the way could read', () => {
  const told = (flags: Record<string, string>): { words: string; warnings: string[] } => {
    const { policy, warnings } = describePolicy(
      loadConfig({ defaultPath: '/nonexistent/config.yaml', flags }),
    );
    return { words: policy.find(({ about }) => about === 'audit also')?.words ?? '', warnings };
  };
  const syslog = (address: string, more: Record<string, string> = {}) =>
    told({ 'audit.outputs': 'syslog', 'audit.syslog_address': address, ...more });
  assert.match(told({}).words, /^nowhere else/);
  assert.match(
    told({ 'audit.outputs': 'journald,otlp' }).words,
    /journal.*audit\.schema native.*; each line as a log record/,
  );
  assert.match(syslog('/dev/log').words, /by the socket \/dev\/log/);
  assert.match(
    syslog('tls://log.example:6514').words,
    /over TLS to log\.example, port 6514, if a public authority/,
  );
  assert.deepEqual(syslog('udp://[::1]:514').warnings, []);
  assert.deepEqual(syslog('tls://log.example:6514').warnings, []);
  for (const address of ['udp://log.example:514', 'tcp://192.0.2.1:601'])
    assert.match(syslog(address).warnings.join(), /whoever is on the way/, address);
  const files = { 'audit.syslog_ca': '/nonexistent/ca', 'audit.syslog_cert': '/bin/sh' };
  assert.equal(syslog('tls://log.example:6514', files).warnings.length, 2);
  assert.match(told({ 'audit.syslog_address': 'udp://log.example:514' }).warnings.join(), /lacks syslog/);
  for (const [url, count] of [
    ['http://192.0.2.1:4318/v1/logs', 1],
    ['https://192.0.2.1/', 0],
    ['http://[::1]:4318/', 0],
  ] as const)
    assert.equal(told({ 'audit.outputs': 'otlp', 'audit.otlp_url': url }).warnings.length, count, url);
});

test('hostile paths never reach the terminal raw', () => {
  for (const [what, name] of Object.entries(HOSTILE_NAMES)) {
    const path = `/${name.slice(0, 4000)}`;
    const flags = { 'audit.path': path, 'receivers.allow': path };
    const policy = describePolicy(loadConfig({ defaultPath: '/nonexistent/config.yaml', flags }));
    assertHarmless(renderPolicy(policy), policy.policy.length + policy.warnings.length, what);
  }
});
