/**
 * What comes out of the chart. Skipped where Go and sprig are not installed: the setup leaves their 400 MB to who changes the chart.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  PrometheusRule,
  ServiceMonitor,
} from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { DaemonSet } from 'kubernetes-models/apps/v1';
import { ConfigMap, Service, ServiceAccount } from 'kubernetes-models/v1';
import { parse } from 'yaml';
import { loadConfig } from '../../../src/config/load.js';
import { PACKAGE_ROOT } from '../../../src/kernel/paths.js';
import { unitCapabilities } from '../../support/agent-unit.js';
import { buildRenderer, type Manifest, ofKind, renderChart, rendererLacks } from './chart.js';

const MODELS: Record<string, new (data: Manifest) => { validate(): void }> = {
  DaemonSet,
  ConfigMap,
  Service,
  ServiceAccount,
  PrometheusRule,
  ServiceMonitor,
};

const EVERYTHING = {
  http: { allowUnauthenticated: true },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' }, endpoint: { scheme: 'https' } },
  prometheusRule: { enabled: true },
  dashboards: { enabled: true },
  audit: { hostPath: '/srv/loopwarden' },
  imagePullSecrets: [{ name: 'registry' }],
  podAnnotations: { note: 'x' },
};

const folder = mkdtempSync(join(tmpdir(), 'loopwarden-chart-'));
const renderer = join(folder, 'render');
const skip = rendererLacks() ?? false;
before(() => {
  if (!skip) buildRenderer(renderer);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const podOf = (manifests: readonly Manifest[]): Manifest =>
  ofKind(manifests, 'DaemonSet')[0].spec.template.spec;

for (const [words, values] of Object.entries({ defaults: {}, everything: EVERYTHING }))
  test(`what the chart makes of ${words} is what Kubernetes’ schemas ask for`, { skip }, () => {
    const { manifests } = renderChart(renderer, values);
    for (const manifest of manifests) {
      const Model = MODELS[manifest.kind as string];
      assert.ok(Model, `no schema for ${manifest.kind}`);
      new Model(manifest).validate();
    }
    const kinds = [...new Set(manifests.map(({ kind }) => kind as string))].sort();
    assert.deepEqual(
      kinds,
      words === 'defaults' ? ['ConfigMap', 'DaemonSet', 'ServiceAccount'] : Object.keys(MODELS).sort(),
    );
  });

test('the agent runs without privileged, with exact capabilities and a read-only root', { skip }, () => {
  const pod = podOf(renderChart(renderer).manifests);
  const [{ securityContext }] = pod.containers;
  assert.equal(securityContext.privileged, false);
  assert.equal(securityContext.allowPrivilegeEscalation, false);
  assert.equal(securityContext.readOnlyRootFilesystem, true);
  assert.deepEqual(securityContext.capabilities.drop, ['ALL']);
  // A unit sets RLIMIT_MEMLOCK by itself.
  const added = [...securityContext.capabilities.add].sort();
  assert.deepEqual(added, [...unitCapabilities(), 'SYS_RESOURCE'].sort());
  assert.deepEqual(pod.securityContext.seccompProfile, { type: 'RuntimeDefault' });
  assert.equal(pod.hostPID, true);
  assert.equal(pod.hostNetwork, true);
  assert.equal(pod.hostIPC, true);
  const paths = pod.volumes.flatMap(({ hostPath }: Manifest) => hostPath?.path ?? []);
  assert.deepEqual(paths, [
    '/sys/fs/bpf',
    '/sys/devices/virtual/block',
    '/run/containerd/io.containerd.runtime.v2.task',
  ]);
});

test('every mount has its volume, and the other way round', { skip }, () => {
  for (const values of [{}, EVERYTHING, { http: { webConfigSecret: 'web' } }]) {
    const { containers, volumes } = podOf(renderChart(renderer, values).manifests);
    const names = (list: Manifest[]): string[] => [...new Set(list.map(({ name }) => name as string))].sort();
    assert.deepEqual(names(containers[0].volumeMounts), names(volumes));
  }
});

test('the agent takes the config, and is open to others only where that was said', { skip }, () => {
  const addressOf = (values: Record<string, unknown>): unknown => {
    const text = ofKind(renderChart(renderer, values).manifests, 'ConfigMap')[0].data[
      'config.yaml'
    ] as string;
    const configPath = join(folder, 'config.yaml');
    writeFileSync(configPath, text);
    return loadConfig({ configPath, env: {}, flags: {} }).config.http;
  };
  const { address, allow_unauthenticated: open } = addressOf({}) as Manifest;
  assert.deepEqual([address, open], ['127.0.0.1', false]);
  const everybody = addressOf({ http: { allowUnauthenticated: true } }) as Manifest;
  assert.deepEqual([everybody.address, everybody.allow_unauthenticated], ['0.0.0.0', true]);
  const known = addressOf({ http: { webConfigSecret: 'web' } }) as Manifest;
  assert.deepEqual([known.address, known.web_config], ['0.0.0.0', '/etc/loopwarden-web/web.yml']);
  assert.throws(
    () => renderChart(renderer, { serviceMonitor: { enabled: true } }),
    /listens on loopback only/,
  );
});

test('rules and dashboards are those of the clone, with their own braces', { skip }, () => {
  const { manifests } = renderChart(renderer, EVERYTHING);
  const rules = readFileSync(join(PACKAGE_ROOT, 'dashboards/loopwarden-rules.yaml'), 'utf8');
  assert.deepEqual(ofKind(manifests, 'PrometheusRule')[0].spec, parse(rules));
  assert.match(rules, /\{\{ \$labels/);
  const boards = ofKind(manifests, 'ConfigMap').filter(({ metadata }) => metadata.labels.grafana_dashboard);
  assert.ok(boards.length > 0);
  for (const { data } of boards)
    for (const [name, text] of Object.entries(data))
      assert.deepEqual(
        JSON.parse(text as string),
        JSON.parse(readFileSync(join(PACKAGE_ROOT, 'dashboards', name), 'utf8')),
      );
});
