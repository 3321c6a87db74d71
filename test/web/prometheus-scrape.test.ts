/** Debian's Prometheus gets in as docs/fleet.md says: with a certificate that the web config asks for. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createMetrics } from '../../src/sinks/metrics.js';
import { startPublicServer } from '../../src/web/public-server.js';
import { fullHost } from '../full-host.js';
import { makeCertificate } from '../support/certificates.js';
import { defer } from '../support/defer.js';
import { startPrometheus } from '../support/prometheus.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const WEB_CONFIG = `
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_ca_file: ca.crt
  client_auth_type: RequireAndVerifyClientCert
`;

interface Target {
  health: string;
  lastError: string;
}

/** What Prometheus says of its only target, once it has asked. */
async function scrapeWith(
  t: TestContext,
  client: 'its own' | "a stranger's",
): Promise<Target & { series: number }> {
  const folder = tempFolder(t);
  const ca = makeCertificate(folder, 'ca');
  makeCertificate(folder, 'server', ca);
  const pair = makeCertificate(
    folder,
    'client',
    client === 'its own' ? ca : makeCertificate(folder, 'other-ca'),
  );
  writeFileSync(join(folder, 'web.yml'), WEB_CONFIG);
  const server = await startPublicServer({
    address: '127.0.0.1',
    port: 0,
    health: { unhealthyReasons: () => [], unreadyReasons: () => [] },
    metrics: createMetrics(fullHost(), { deviceInfo: true, deviceInfoLimit: 256 }),
    webConfig: join(folder, 'web.yml'),
  });
  defer(t, () => server.close());
  const prometheus = await startPrometheus(t, {
    target: new URL(server.url).host,
    job: 'loopwarden',
    groups: [],
    scrape: {
      scheme: 'https',
      tls_config: { ca_file: ca.certFile, cert_file: pair.certFile, key_file: pair.keyFile },
    },
  });
  const target = await eventually('it was asked', async () => {
    const { activeTargets } = await prometheus.get('targets');
    const [only] = activeTargets as Target[];
    return only !== undefined && only.health !== 'unknown' && only;
  });
  const [count] = await prometheus.query('count({__name__=~"loopwarden_.*"})');
  return { health: target.health, lastError: target.lastError, series: count?.value ?? 0 };
}

test('Prometheus scrapes over TLS with a certificate of its own', async (t) => {
  const { health, lastError, series } = await scrapeWith(t, 'its own');
  assert.deepEqual({ health, lastError }, { health: 'up', lastError: '' });
  assert.ok(series > 400);
});

test('and gets nothing with a certificate of a stranger', async (t) => {
  const { health, lastError, series } = await scrapeWith(t, "a stranger's");
  assert.equal(health, 'down');
  assert.match(lastError, /certificate|tls|reset|EOF/i);
  assert.equal(series, 0);
});
