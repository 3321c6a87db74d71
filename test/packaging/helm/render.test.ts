/** What comes out of the chart. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
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
import { tempFolder } from '../../support/temp-folder.js';
import { type Manifest, ofKind, renderChart, type Values } from './chart.js';

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

const podOf = (manifests: readonly Manifest[]): Manifest =>
  ofKind(manifests, 'DaemonSet')[0].spec.template.spec;

for (const [words, values] of Object.entries({ defaults: {}, everything: EVERYTHING }))
  test(`what the chart makes of ${words} is what Kubernetes’ schemas ask for`, async () => {
    const { manifests } = await renderChart(values);
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

test('the agent runs without privileged, with exact capabilities and a read-only root', async () => {
  const pod = podOf((await renderChart()).manifests);
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
    '/sys/fs/cgroup',
    '/run/containerd/io.containerd.runtime.v2.task',
  ]);
});

test('every mount has its volume, and the other way round', async () => {
  for (const values of [{}, EVERYTHING, { http: { webConfigSecret: 'web' } }]) {
    const { containers, volumes } = podOf((await renderChart(values)).manifests);
    const names = (list: Manifest[]): string[] => [...new Set(list.map(({ name }) => name as string))].sort();
    assert.deepEqual(names(containers[0].volumeMounts), names(volumes));
  }
});

test('the agent takes the config, and is open to others only where that was said', async (t) => {
  const configPath = join(tempFolder(t), 'config.yaml');
  const addressOf = async (values: Values): Promise<Manifest> => {
    const { manifests, notes } = await renderChart(values);
    writeFileSync(configPath, ofKind(manifests, 'ConfigMap')[0].data['config.yaml'] as string);
    const { http } = loadConfig({ configPath, env: {}, flags: {} }).config;
    assert.equal(/loopback/.test(notes), http.address === '127.0.0.1', notes);
    return http;
  };
  const { address, allow_unauthenticated: open } = await addressOf({});
  assert.deepEqual([address, open], ['127.0.0.1', false]);
  const everybody = await addressOf({ http: { allowUnauthenticated: true } });
  assert.deepEqual([everybody.address, everybody.allow_unauthenticated], ['0.0.0.0', true]);
  const known = await addressOf({ http: { webConfigSecret: 'web' } });
  assert.deepEqual([known.address, known.web_config], ['0.0.0.0', '/etc/loopwarden-web/web.yml']);
  await assert.rejects(renderChart({ serviceMonitor: { enabled: true } }), /listens on loopback only/);
});

test('rules and dashboards are those of the clone, with their own braces', async () => {
  const { manifests } = await renderChart(EVERYTHING);
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
