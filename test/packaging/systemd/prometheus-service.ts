/** Debian's prometheus.service, with the rules as the package installs them. */
import { copyFileSync, renameSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { ask } from '../../support/http-get.js';
import { type FiringAlert, type Prometheus, prometheusAt } from '../../support/prometheus.js';
import { host } from '../../support/shell.js';
import { eventually } from '../../support/wait.js';

const CONFIG = '/etc/prometheus/prometheus.yml';
const RULES = '/usr/share/loopwarden/dashboards/loopwarden-rules.yaml';
const ADDRESS = '127.0.0.1:9090';
const INTERVAL = '2s';

export interface PrometheusService extends Prometheus {
  /** What the last scrape has come to: 1 if it had an answer. */
  isScraped(up: 0 | 1): Promise<boolean>;
  untilFiring(alert: string): Promise<FiringAlert>;
  /** Stopped, with no trace of this test. */
  end(): Promise<void>;
}

export async function startPrometheusService(): Promise<PrometheusService> {
  copyFileSync(CONFIG, `${CONFIG}.before`);
  writeFileSync(
    CONFIG,
    stringify({
      global: { scrape_interval: INTERVAL, scrape_timeout: INTERVAL, evaluation_interval: INTERVAL },
      rule_files: [RULES],
      scrape_configs: [{ job_name: 'loopwarden', static_configs: [{ targets: ['127.0.0.1:9847'] }] }],
    }),
  );
  await host('systemctl start prometheus.service');
  const isReady = async (): Promise<boolean> =>
    (await ask(`http://${ADDRESS}/-/ready`).catch(() => undefined))?.status === 200;
  await eventually('Prometheus is ready', isReady, 30_000);
  const prometheus = prometheusAt(ADDRESS);
  return {
    ...prometheus,
    async isScraped(up) {
      return (await prometheus.query('up{job="loopwarden"}'))[0]?.value === up;
    },
    untilFiring(name) {
      const find = async (): Promise<FiringAlert | undefined> =>
        (await prometheus.alerts()).find(
          ({ labels, state }) => labels.alertname === name && state === 'firing',
        );
      return eventually(`${name} fires`, find, 30_000);
    },
    async end() {
      await host('systemctl stop prometheus.service');
      renameSync(`${CONFIG}.before`, CONFIG);
    },
  };
}
