/** Where a demo writes: into a folder of its own, wherever the host's config leads. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.js';
import { makeHome } from '../../src/demo/home.js';
import { defer } from '../support/defer.js';

const given = (sources: object) => loadConfig({ defaultPath: '/nonexistent/config.yaml', ...sources });

test('takes an address, a port, a socket and a log level from whoever asks, and nothing else', (t) => {
  const env = {
    LOOPWARDEN_HTTP_PORT: '7',
    LOOPWARDEN_AUDIT_PATH: '/var/log/mine',
    LOOPWARDEN_PINS_PATH: '/p',
  };
  const home = makeHome(given({ env, flags: { 'api.socket': '/run/mine.sock' } }));
  defer(t, home.remove);
  const { http, api, audit, loopfs } = home.loaded.config;
  assert.deepEqual([http.port, api.socket], [7, '/run/mine.sock']);
  for (const path of [audit.path, audit.key_path, loopfs.socket, loopfs.folder])
    assert.ok(path.startsWith(`${home.folder}/`), path);
});

test('the config that it writes leads there, and goes with the folder', () => {
  const home = makeHome(given({}));
  home.writeConfig(1234);
  const { config } = loadConfig({ configPath: home.configPath });
  assert.deepEqual(config.audit, home.loaded.config.audit);
  assert.equal(config.http.port, 1234);
  home.remove();
  assert.ok(!existsSync(home.folder));
});

test('a flag that leads out of the folder is refused', () => {
  assert.throws(() => makeHome(given({ flags: { 'audit.path': '/var/log/mine' } })), {
    code: 'ERR_USAGE',
    message: /--audit-log is not for a demo/,
  });
});

test('where no folder can be made the error says what to set', (t) => {
  const before = process.env.TMPDIR;
  defer(t, () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
  process.env.TMPDIR = '/nonexistent';
  assert.throws(() => makeHome(given({})), {
    code: 'ERR_USAGE',
    message: /in \/nonexistent: ENOENT.*: set TMPDIR/,
  });
});
