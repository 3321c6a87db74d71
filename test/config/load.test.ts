import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { parseConfig } from '../../src/config/file.js';
import { CONFIG_KEYS } from '../../src/config/keys.js';
import { loadConfig } from '../../src/config/load.js';
import { LoopwardenError, renderErrorLine } from '../../src/errors.js';
import { tempFolder } from '../support/temp-folder.js';

const NOWHERE = '/nonexistent/config.yaml';

function writeConfig(t: TestContext, text: string | Uint8Array): string {
  const path = join(tempFolder(t), 'config.yaml');
  writeFileSync(path, text);
  return path;
}

/** The error's code and line for people. */
function refusal(work: () => unknown): { code: string; line: string; exitCode: number } {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof LoopwardenError, String(error));
    return { code: error.code, line: renderErrorLine(error), exitCode: error.exitCode };
  }
  return assert.fail('nothing was refused');
}

test('without anything set, every key has its default and says so', () => {
  const { config, origins } = loadConfig({ defaultPath: NOWHERE });
  assert.equal(config.filter.mode, 'hide');
  assert.equal(config.audit.path, '/var/log/loopwarden/audit.ndjson');
  assert.deepEqual(config.audit.kinds, ['ioctl', 'life', 'agent']);
  assert.equal(config.http.port, 9847);
  assert.equal(config.ring.size_bytes, 2 * 1024 * 1024);
  for (const { key } of CONFIG_KEYS) assert.equal(origins[key], 'default', key);
});

test('file beats default, environment beats file, flag beats environment; each tells its origin', (t) => {
  const path = writeConfig(
    t,
    'filter:\n  mode: off\naudit:\n  path: /file\n  kinds: [uevent]\nhttp:\n  port: 1\n',
  );
  const { config, origins } = loadConfig({
    configPath: path,
    env: { LOOPWARDEN_AUDIT_PATH: '/env', LOOPWARDEN_HTTP_PORT: '2', HOME: '/root' },
    flags: { 'http.port': '3', 'filter.mode': undefined },
  });
  assert.equal(config.filter.mode, 'off');
  assert.equal(origins['filter.mode'], `${path}:2`);
  assert.deepEqual(config.audit.kinds, ['uevent']);
  assert.equal(config.audit.path, '/env');
  assert.equal(origins['audit.path'], 'LOOPWARDEN_AUDIT_PATH');
  assert.equal(config.http.port, 3);
  assert.equal(origins['http.port'], '--http-port');
  assert.equal(origins['log.level'], 'default');
});

test('text of the environment becomes the type of the key', () => {
  const env = {
    LOOPWARDEN_METRICS_DEVICE_INFO: 'false',
    LOOPWARDEN_RECEIVERS_ALLOW: '/a, /b',
    LOOPWARDEN_AUDIT_KINDS: '',
  };
  const { config } = loadConfig({ defaultPath: NOWHERE, env });
  assert.equal(config.metrics.device_info, false);
  assert.deepEqual(config.receivers.allow, ['/a', '/b']);
  assert.deepEqual(config.audit.kinds, []);
});

test('an empty file, and a section whose keys are all comments, are fine', () => {
  assert.deepEqual(parseConfig('x', ''), []);
  assert.deepEqual(parseConfig('x', '# nothing\n'), []);
  assert.deepEqual(parseConfig('x', 'filter:\n  # mode: off\nhttp: ~\n'), []);
});

test('a missing default file is fine, a missing named one is not', () => {
  loadConfig({ defaultPath: NOWHERE });
  const { code, line, exitCode } = refusal(() => loadConfig({ configPath: NOWHERE }));
  assert.equal(code, 'ERR_CONFIG_UNREADABLE');
  assert.equal(exitCode, 2);
  assert.match(line, /^loopwarden: \/nonexistent\/config\.yaml: .*no such file/);
});

test('a folder, a file too large, an endless device and a file that is no text are refused', (t) => {
  const folder = join(tempFolder(t), 'config.yaml');
  mkdirSync(folder);
  assert.equal(refusal(() => loadConfig({ configPath: folder })).code, 'ERR_CONFIG_UNREADABLE');
  const large = writeConfig(t, `# ${'x'.repeat(1_048_576)}\n`);
  assert.match(refusal(() => loadConfig({ configPath: large })).line, /larger than 1 MiB/);
  assert.match(refusal(() => loadConfig({ configPath: '/dev/zero' })).line, /larger than 1 MiB/);
  const binary = writeConfig(t, Uint8Array.of(0xff, 0xfe, 0x00));
  assert.equal(refusal(() => loadConfig({ configPath: binary })).code, 'ERR_CONFIG_SYNTAX');
});

test('an unknown key is refused with line, column and the nearest known one', () => {
  const { code, line } = refusal(() => parseConfig('c.yaml', 'http:\n  port: 1\nfilter:\n  mod: off\n'));
  assert.equal(code, 'ERR_CONFIG_KEY');
  assert.equal(line, 'loopwarden: c.yaml:4:3: unknown key "filter.mod"; did you mean "filter.mode"?');
  assert.match(
    refusal(() => parseConfig('c.yaml', 'fliter: {}\n')).line,
    /c\.yaml:1:1: .*did you mean "filter"\?/,
  );
  assert.match(refusal(() => parseConfig('c.yaml', 'qqqqqq: 1\n')).line, /docs\/config\.md lists the keys/);
  for (const name of ['__proto__', 'constructor', 'toString', 'filter.mode']) {
    assert.equal(refusal(() => parseConfig('c.yaml', `${name}: 1\n`)).code, 'ERR_CONFIG_KEY', name);
  }
});

test('an unknown LOOPWARDEN_ variable is refused with the nearest name', () => {
  const { code, line } = refusal(() =>
    loadConfig({ defaultPath: NOWHERE, env: { LOOPWARDEN_FILTER_MOD: 'off' } }),
  );
  assert.equal(code, 'ERR_CONFIG_KEY');
  assert.match(line, /LOOPWARDEN_FILTER_MOD"; did you mean LOOPWARDEN_FILTER_MODE\?/);
});

test('wrong values are refused where they stand, in words', () => {
  const cases: [string, RegExp][] = [
    ['filter:\n  mode: hid', /c\.yaml:2:9: filter\.mode cannot be "hid": it takes off, observe or hide; /],
    ['filter:\n  mode:', /filter\.mode cannot be empty/],
    ['filter:\n  mode: [off]', /filter\.mode cannot be \["off"\]/],
    ['http:\n  port: "9847"', /http\.port cannot be "9847": it takes 0 to 65535/],
    ['http:\n  port: 65536', /it takes 0 to 65535/],
    ['http:\n  port: 1.5', /http\.port cannot be 1\.5/],
    ['http:\n  address: localhost', /must be an IP address/],
    ['ring:\n  size_bytes: 100000', /must be a power of two/],
    ['api:\n  socket: run.sock', /must be an absolute path/],
    [`api:\n  socket: /${'s'.repeat(107)}`, /must be at most 107 bytes long/],
    ['audit:\n  kinds: [ioctl, everything]', /it takes list of ioctl, uevent/],
    ['receivers:\n  allow: [udevd]', /must be an absolute path/],
    ['metrics:\n  device_info: yes', /it takes true or false/],
  ];
  for (const [text, expected] of cases) {
    const { code, line } = refusal(() => parseConfig('c.yaml', text));
    assert.equal(code, 'ERR_CONFIG_VALUE', text);
    assert.match(line, expected);
  }
  const env = { LOOPWARDEN_HTTP_PORT: '0x10' };
  assert.match(
    refusal(() => loadConfig({ defaultPath: NOWHERE, env })).line,
    /: LOOPWARDEN_HTTP_PORT: http\.port/,
  );
  const flags = { 'filter.mode': 'x' };
  assert.match(
    refusal(() => loadConfig({ defaultPath: NOWHERE, flags })).line,
    /: --filter-mode: filter\.mode/,
  );
});

test('what is not plain sections, keys and values is refused as syntax', () => {
  const cases: [string, RegExp][] = [
    ['filter: [', /c\.yaml:1:\d+: /],
    ['- filter', /top level must be sections/],
    ['filter: hide', /filter must be a section/],
    ['filter:\n  mode: {a: b}', /c\.yaml:2:9: .*not keys/],
    ['filter:\n  mode: &m hide\nlog:\n  level: *m', /c\.yaml:4:10: .*aliases are not taken/],
    ['filter:\n  mode: hide\n  mode: off', /c\.yaml:3:3: /],
    ['filter:\n  mode: !!js/function x', /c\.yaml:2/],
    ['filter:\n  mode: hide\n---\nfilter:\n  mode: off', /c\.yaml:3/],
    ['? [a]\n: b', /a key must be plain text/],
    ['['.repeat(500_000), /nested too deeply|c\.yaml:1/],
  ];
  for (const [text, expected] of cases) {
    const { code, line } = refusal(() => parseConfig('c.yaml', text));
    assert.equal(code, 'ERR_CONFIG_SYNTAX', text.slice(0, 60));
    assert.match(line, expected);
  }
});

test('an alias bomb is refused at once', () => {
  const bomb = [
    'a: &a [x,x]',
    ...'bcdefghijklmnop'
      .split('')
      .map((name, index) => `${name}: &${name} [${`*${'abcdefghijklmnop'[index]},`.repeat(9)}]`),
  ];
  const code = refusal(() =>
    parseConfig('c.yaml', `filter:\n${bomb.map((line) => `  ${line}`).join('\n')}`),
  ).code;
  assert.ok(code === 'ERR_CONFIG_KEY' || code === 'ERR_CONFIG_SYNTAX');
  const inValue = 'audit:\n  kinds: &a [*a]\n';
  assert.equal(refusal(() => parseConfig('c.yaml', inValue)).code, 'ERR_CONFIG_SYNTAX');
});

test('no text whatever makes it fail in another way', () => {
  const snippet = fc.constantFrom(
    'filter',
    'mode',
    ':',
    ' ',
    '\n',
    '  ',
    '- ',
    '&a',
    '*a',
    '[',
    '}',
    '!!set',
    '%YAML',
    '"',
    '|',
    '?',
    '<<',
    '\t',
  );
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(snippet).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      try {
        parseConfig('c.yaml', text);
      } catch (error) {
        assert.ok(error instanceof LoopwardenError, String(error));
        assert.equal(error.exitCode, 2);
      }
    }),
    { numRuns: 2000 },
  );
});
