/** The Debian package: what is in it, that two builds are one, and what lintian says. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { COMPLETIONS, CONFFILES } from '../../scripts/deb-layout.js';
import { command } from '../support/shell.js';

let path = '';
let digest = '';
let olderDigest = '';

async function build(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const { code, stdout, stderr } = await command('npm', ['run', '--silent', 'package:deb'], env);
  assert.equal(code, 0, stderr);
  path = stdout.trim();
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

async function ask(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await command(words[0] ?? '', words.slice(1));
  assert.equal(code, 0, stderr);
  return stdout;
}

before(async () => {
  olderDigest = await build({ ...process.env, SOURCE_DATE_EPOCH: '1' });
  digest = await build();
});

test('a second build has the same bytes, one of another time not', async () => {
  assert.notEqual(olderDigest, digest);
  assert.equal(await build(), digest);
});

test('everything is root’s, of one time, and writable by nobody else', async () => {
  const lines = (await ask('dpkg-deb', '-c', path)).trim().split('\n');
  assert.ok(lines.length > 100);
  for (const line of lines) {
    const [mode = '', owner = '', , date] = line.split(/\s+/);
    assert.equal(owner, 'root/root', line);
    assert.match(mode, /^(l|[-d]rwxr-xr-x|-rw-r--r--)/, line);
    assert.equal(date, '2026-11-25', line);
  }
});

test('what a host needs is there, and nothing of the clone besides', async () => {
  const lines = (await ask('dpkg-deb', '-c', path)).trim().split('\n');
  const names = new Set(lines.map((line) => /\s\.\/(\S*)/.exec(line)?.[1] ?? ''));
  for (const wanted of [
    'usr/bin/loopwarden',
    'usr/lib/loopwarden/dist/main.js',
    'usr/lib/loopwarden/dist/bpf/gates.bpf.o',
    'usr/lib/loopwarden/dist/page/index.html.br',
    'usr/lib/loopwarden/prebuilds/linux-x64/loopwarden.node',
    'usr/lib/loopwarden/prebuilds/linux-x64/loopfs/loopfs.node',
    'usr/lib/loopwarden/prebuilds/linux-x64/loopwarden-rescan',
    'usr/lib/systemd/system/loopwarden.service',
    'usr/lib/systemd/system/loopwarden.socket',
    'usr/lib/systemd/system/loopwarden-loopfs.service',
    'usr/lib/tmpfiles.d/loopwarden.conf',
    'usr/share/loopwarden/dashboards/loopwarden-overview.json',
    'usr/share/loopwarden/dashboards/loopwarden-rules.yaml',
    'usr/share/man/man8/loopwarden.8.gz',
    'usr/share/doc/loopwarden/copyright',
    'usr/share/doc/loopwarden/changelog.gz',
    ...Object.values(COMPLETIONS),
    ...CONFFILES.map((each) => each.slice(1)),
  ])
    assert.ok(names.has(wanted), wanted);
  assert.ok(![...names].some((name) => /\.test\.|\/\.|\/native\/|\.ts$/.test(name)));
});

test('the copyright names every package that is in the bundle', async () => {
  const text = await ask(
    'sh',
    '-c',
    `dpkg-deb --fsys-tarfile ${path} | tar -xO ./usr/share/doc/loopwarden/copyright`,
  );
  for (const name of [
    'bcryptjs',
    'commander',
    'node-gyp-build',
    'pino',
    'prom-client',
    'uplot',
    'yaml',
    'zod',
  ])
    assert.match(text, new RegExp(`^ ${name}: `, 'm'));
  assert.doesNotMatch(text, /@[A-Z_]+@/);
});

test('lintian finds no fault', async () => {
  assert.ok(existsSync('/usr/bin/lintian'), 'lintian is missing: bash scripts/setup.sh --test');
  const { code, stdout } = await command('lintian', [
    '--allow-root',
    '--fail-on',
    'error,warning',
    '--tag-display-limit',
    '0',
    path,
  ]);
  assert.equal(code, 0, stdout);
});
