/** Debian's real Prometheus in a process of its own, with a free port and a database that goes with the test. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { stringify } from 'yaml';
import { defer } from './defer.js';
import { ask } from './http-get.js';
import { tempFolder } from './temp-folder.js';
import { eventually } from './wait.js';

export interface FiringAlert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: 'pending' | 'firing';
}

export interface QueriedSample {
  labels: Record<string, string>;
  value: number;
}

export interface Prometheus {
  alerts(): Promise<FiringAlert[]>;
  /** An instant query. */
  query(expr: string): Promise<QueriedSample[]>;
  /** `data` of GET /api/v1/`path`. */
  // biome-ignore lint/suspicious/noExplicitAny: as Prometheus' API has it
  get(path: string): Promise<any>;
}

export interface PrometheusOptions {
  /** What /metrics is scraped from. */
  target: string;
  job: string;
  /** Groups of a rule file. */
  groups: readonly unknown[];
  /** More of the scrape config. */
  scrape?: Record<string, unknown>;
}

export async function startPrometheus(t: TestContext, options: PrometheusOptions): Promise<Prometheus> {
  const folder = tempFolder(t);
  const config = join(folder, 'prometheus.yml');
  writeFileSync(join(folder, 'rules.yaml'), stringify({ groups: options.groups }));
  writeFileSync(
    config,
    stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: ['rules.yaml'],
      scrape_configs: [
        {
          job_name: options.job,
          static_configs: [{ targets: [options.target] }],
          ...options.scrape,
        },
      ],
    }),
  );
  const child = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
      '--storage.tsdb.retention.time=1h',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  let failure: Error | undefined;
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  child.once('error', (error) => {
    failure = error;
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  defer(t, async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  });
  const address = await eventually('Prometheus listens', () => {
    assert.ifError(failure);
    assert.equal(child.exitCode, null, log);
    return /msg="Listening on"[^\n]* address=(127\.0\.0\.1:\d+)/.exec(log)?.[1];
  });
  await eventually(
    'Prometheus is ready',
    async () => (await ask(`http://${address}/-/ready`)).status === 200,
    30_000,
  );
  return prometheusAt(address);
}

/** One that answers at `address`. */
export function prometheusAt(address: string): Prometheus {
  const get: Prometheus['get'] = async (path) => {
    const { status, body } = await ask(`http://${address}/api/v1/${path}`);
    assert.equal(status, 200, body);
    return JSON.parse(body).data;
  };
  return {
    get,
    alerts: async () => (await get('alerts')).alerts,
    async query(expr) {
      const { result } = await get(`query?query=${encodeURIComponent(expr)}`);
      return result.map((each: { metric: Record<string, string>; value: [number, string] }) => ({
        labels: each.metric,
        value: Number(each.value[1]),
      }));
    },
  };
}
