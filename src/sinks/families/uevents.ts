/** Uevents, their deliveries, and who listens. */
import type { Registry } from 'prom-client';
import { labelProduct } from '../absolute-metric.js';
import type { MetricsSource } from '../metrics-source.js';
import { addCounter, addGauge } from './family.js';

export function addUevents(registry: Registry, source: MetricsSource): void {
  const { subsystems: subsystem, actions: action, verdicts: verdict } = source.labels;
  const emitted = 'Uevents about loop devices, by the verdict for the host.';
  const series = labelProduct({ subsystem, action, verdict });
  addCounter(registry, 'uevents_total', emitted, series, () => source.uevents());
  addDeliveries(registry, source);
  addReceivers(registry, source);
}

/** A rule decides one verdict: there is no series for the other. */
function addDeliveries(registry: Registry, source: MetricsSource): void {
  const { rules, verdicts, ruleVerdicts } = source.labels;
  const pairs = rules.map((rule, at) => ({ verdict: ruleVerdicts[at] ?? '', rule }));
  const help = 'Deliveries of uevents to filtered receivers, by verdict and the rule that decided.';
  addCounter(registry, 'uevent_deliveries_total', help, pairs, () => {
    const counts = source.deliveries();
    return pairs.map((pair, at) => counts[verdicts.indexOf(pair.verdict) * rules.length + at] ?? 0);
  });
}

function addReceivers(registry: Registry, source: MetricsSource): void {
  const { receiverClasses, hostReceiverKinds: kind, filterModes } = source.labels;
  const all = 'Uevent sockets, by whether the filter is on them.';
  addGauge(registry, 'receivers', all, labelProduct({ class: receiverClasses }), () => source.receivers());
  const hosts = 'Uevent sockets of the initial user namespace, by whose they are.';
  addGauge(registry, 'host_receivers', hosts, labelProduct({ kind }), () => source.hostReceivers());
  const modes = labelProduct({ mode: filterModes });
  addGauge(registry, 'filter_mode', '1 for the mode that the uevent filter is in.', modes, () =>
    filterModes.map((mode) => Number(mode === source.filterMode())),
  );
}
