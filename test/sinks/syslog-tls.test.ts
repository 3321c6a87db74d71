/** To a TLS server of OpenSSL's, which believes and is believed only by certificates. */
import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openSchema } from '../../src/sinks/audit-schema.js';
import { openSyslogOutput } from '../../src/sinks/syslog-output.js';
import type { TlsFiles } from '../../src/sinks/syslog-tls.js';
import { makeCertificate } from '../support/certificates.js';
import { tempFolder } from '../support/temp-folder.js';
import { startTlsServer } from '../support/tls-server.js';
import { eventually } from '../support/wait.js';
import { watchOutput } from '../support/watched-output.js';

const native = await openSchema('native');
const NONE: TlsFiles = { ca: '', cert: '', key: '' };
const LINE = '{"seq":1,"kind":"agent","command":"start"}';

function openOutput(t: TestContext, port: number, tls: Partial<TlsFiles>, host = '127.0.0.1') {
  const address = `tls://${host}:${port}`;
  return watchOutput(t, (timing) =>
    openSyslogOutput({ map: native, address, tls: { ...NONE, ...tls }, ...timing }),
  );
}

function makeAuthority(t: TestContext) {
  const folder = tempFolder(t);
  const ca = makeCertificate(folder, 'authority');
  return { folder, ca, server: makeCertificate(folder, 'server', ca) };
}

test('frames each message by its length, to a server whose address is in its certificate', async (t) => {
  const { ca, server } = makeAuthority(t);
  for (const options of [[], ['tls1.2'], ['no-tickets']] as const) {
    const { port, messages } = await startTlsServer(t, server, { options });
    const { output, states } = openOutput(t, port, { ca: ca.certFile });
    const lines = [LINE, `{"kind":"agent","command":"${'ü'.repeat(20_000)}"}`, LINE];
    for (const line of lines) output.take(line);
    await eventually('all messages', () => messages().length === lines.length);
    assert.match(messages()[0] ?? '', /^<86>1 .* loopwarden \d+ agent \[meta sequenceId="1"\]/);
    const texts = messages().map((message) => JSON.parse(message.slice(message.indexOf('{'))));
    assert.deepEqual(
      texts,
      lines.map((line) => JSON.parse(line)),
    );
    assert.deepEqual(states, []);
  }
});

test('sends nothing to a server of another authority, or of another name', async (t) => {
  const { folder, ca, server } = makeAuthority(t);
  const stranger = makeCertificate(folder, 'stranger');
  const named = makeCertificate(folder, 'named', ca, 'DNS:log.example');
  for (const [own, trusted, reason] of [
    [server, stranger, /certificate/],
    [named, ca, /altnames|not in the cert/],
  ] as const) {
    const { port, messages } = await startTlsServer(t, own);
    const { output, states } = openOutput(t, port, { ca: trusted.certFile });
    output.take(LINE);
    await eventually('it says that it fails', () => states.length === 1);
    assert.match(states[0] ?? '', reason);
    assert.deepEqual(messages(), []);
    assert.equal(output.counts().sent, 0);
  }
});

test('shows its certificate to a server that asks for one, and counts nothing as sent to one that refuses it', async (t) => {
  const { folder, ca, server } = makeAuthority(t);
  const client = makeCertificate(folder, 'client', ca);
  for (const options of [[], ['tls1.2'], ['no-tickets']] as const) {
    const { port, messages } = await startTlsServer(t, server, { clients: ca, options });
    const refused = openOutput(t, port, { ca: ca.certFile });
    refused.output.take(LINE);
    await eventually('it says that it fails', () => refused.states.length === 1);
    assert.equal(refused.output.counts().sent, 0);
    assert.deepEqual(messages(), []);
    await refused.output.close();
    const taken = openOutput(t, port, { ca: ca.certFile, cert: client.certFile, key: client.keyFile });
    taken.output.take(LINE);
    await eventually('the message', () => messages().length === 1);
    assert.deepEqual(taken.states, []);
  }
});

test('uses a renewed authority from the next connection on', async (t) => {
  const { folder, ca, server } = makeAuthority(t);
  const trusted = join(folder, 'trusted.pem');
  copyFileSync(makeCertificate(folder, 'former').certFile, trusted);
  const { port, messages } = await startTlsServer(t, server);
  const { output, states } = openOutput(t, port, { ca: trusted });
  output.take(LINE);
  await eventually('it says that it fails', () => states.length === 1);
  copyFileSync(ca.certFile, trusted);
  await eventually('the message', () => messages().length === 1);
  await eventually('it says that it works', () => states.length === 2);
  assert.equal(states[1], undefined);
});

test('refuses files that cannot be used, before anything is sent', (t) => {
  const { folder, ca, server } = makeAuthority(t);
  const broken = join(folder, 'broken.pem');
  writeFileSync(broken, 'no certificate');
  for (const tls of [
    { ca: join(folder, 'missing.pem') },
    { cert: broken, key: server.keyFile },
    { cert: server.certFile },
    { cert: server.certFile, key: ca.keyFile },
  ])
    assert.throws(() => openSyslogOutput({ map: native, address: 'tls://h:1', tls: { ...NONE, ...tls } }), {
      code: 'ERR_SYSLOG_TLS',
    });
});
