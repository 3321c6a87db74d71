import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LoopwardenError } from '../../src/errors.js';
import { asksWho, readWebConfig } from '../../src/web/web-config.js';
import { makeCertificate } from '../support/certificates.js';

const HASH = `$2y$10$${'a'.repeat(53)}`;
let folder = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'loopwarden-test-'));
  const ca = makeCertificate(folder, 'ca');
  makeCertificate(folder, 'server', ca);
  makeCertificate(folder, 'other', ca);
  writeFileSync(join(folder, 'empty'), '');
});
after(() => rmSync(folder, { recursive: true, force: true }));

function read(text: string) {
  const file = join(folder, 'web.yml');
  writeFileSync(file, text);
  return readWebConfig(file);
}

const TLS = 'tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n';

test('reads TLS, client certificates, users and headers; file names are relative to the file', () => {
  const config = read(`${TLS}  client_ca_file: ca.crt
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [prometheus]
  min_version: TLS13
  curve_preferences: [X25519, CurveP256]
http_server_config:
  http2: true
  headers: { Strict-Transport-Security: max-age=63072000 }
basic_auth_users:
  prometheus: ${HASH}
`);
  assert.deepEqual([...config.users], [['prometheus', HASH]]);
  assert.equal(config.headers['Strict-Transport-Security'], 'max-age=63072000');
  assert.equal(config.tls?.minVersion, 'TLSv1.3');
  assert.equal(config.tls?.curves, 'X25519:prime256v1');
  assert.deepEqual(config.tls?.client, {
    asked: true,
    demanded: true,
    verified: true,
    allowedSans: ['prometheus'],
  });
  assert.deepEqual(
    config.files.map((file) => file.slice(folder.length + 1)),
    ['web.yml', 'server.crt', 'server.key', 'ca.crt'],
  );
});

test('asks who it is for users and verified certificates; for TLS alone, or certificates of anybody, it does not', () => {
  const client = (type: string, ca = '') => `${TLS}  client_auth_type: ${type}\n${ca}`;
  const CA = '  client_ca_file: ca.crt\n';
  assert.equal(asksWho(read('')), false);
  assert.equal(asksWho(read(TLS)), false);
  assert.equal(asksWho(read(client('RequireAnyClientCert'))), false);
  assert.equal(asksWho(read(client('VerifyClientCertIfGiven', CA))), false);
  assert.equal(asksWho(read(client('RequireAndVerifyClientCert', CA))), true);
  assert.equal(asksWho(read(`basic_auth_users:\n  a: ${HASH}\n`)), true);
});

const WRONG: [name: string, text: string, place: string, reason: RegExp][] = [
  ['an unknown key', 'basic_auth_user:\n  a: b\n', '1:1', /unknown or unsupported key "basic_auth_user"/],
  ['an unknown key below', `${TLS}  min_versoin: TLS12\n`, '4:3', /"min_versoin"/],
  ['TLS 1.1', `${TLS}  min_version: TLS11\n`, '4:3', /must be TLS12 or TLS13/],
  ['versions turned round', `${TLS}  max_version: TLS12\n  min_version: TLS13\n`, '5:3', /above max_version/],
  ['a password that is no hash', 'basic_auth_users:\n  ann: secret\n', '2:3', /must be a bcrypt hash/],
  [
    'a hash that takes minutes',
    `basic_auth_users:\n  ann: $2b$20$${'a'.repeat(53)}\n`,
    '2:3',
    /cost must be 4 to 16/,
  ],
  ['a user with a colon', `basic_auth_users:\n  "a:b": ${HASH}\n`, '2:3', /without colon/],
  ['no YAML', 'a: [\n', '2:1', /./],
  ['a key twice', `basic_auth_users: {}\nbasic_auth_users: {}\n`, '2:1', /unique/],
  ['aliases', 'basic_auth_users: &a {}\nhttp_server_config: *a\n', '', /Alias/],
  ['a missing certificate', `${TLS.replace('server.crt', 'gone.crt')}`, '2:3', /no such file/i],
  ['a certificate that is none', `${TLS.replace('server.crt', 'web.yml')}`, '2:3', /no certificate/],
  ['a key that is none', `${TLS.replace('server.key', 'empty')}`, '3:3', /no private key/],
  ['a key of another certificate', `${TLS.replace('server.key', 'other.key')}`, '3:3', /certificate and key/],
  ['an authority without verifying', `${TLS}  client_ca_file: ca.crt\n`, '4:3', /needs a client_auth_type/],
  [
    'verifying without an authority',
    `${TLS}  client_auth_type: RequireAndVerifyClientCert\n`,
    '4:3',
    /needs client_ca_file/,
  ],
  [
    'a header with a line break',
    'http_server_config:\n  headers:\n    X-XSS-Protection: "a\\nb"\n',
    '3:5',
    /printable/,
  ],
  ['a list', '- a\n', '', /./],
];

for (const [name, text, place, reason] of WRONG) {
  test(`refuses ${name}, and says where`, () => {
    assert.throws(
      () => read(text),
      (error) => {
        assert.ok(error instanceof LoopwardenError && error.code === 'ERR_WEB_CONFIG', String(error));
        assert.match(error.message, reason);
        if (place !== '') assert.equal(error.where, `${folder}/web.yml:${place}`);
        return true;
      },
    );
  });
}

test('a file that is not there is an error that names it', () => {
  assert.throws(() => readWebConfig(join(folder, 'none.yml')), {
    code: 'ERR_WEB_CONFIG',
    where: join(folder, 'none.yml'),
  });
});
