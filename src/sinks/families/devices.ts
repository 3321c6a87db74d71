/** The devices, whose they are, and what the host did with those that are not its own. */
import type { Registry } from 'prom-client';
import { closedSeries, type Labels, labelProduct, type Sample } from '../absolute-metric.js';
import type { MetricsOptions } from '../metrics.js';
import type { MetricsSource } from '../metrics-source.js';
import { addCounter, addFamily, addGauge, addNumber } from './family.js';

type Reaps = NonNullable<ReturnType<MetricsSource['reaps']>>;

export function addDevices(registry: Registry, source: MetricsSource, options: MetricsOptions): void {
  const {
    deviceStates: state,
    ownerClasses: owner_class,
    hostAccesses: by,
    reapResults: result,
  } = source.labels;
  const devices = labelProduct({ state, owner_class });
  addGauge(registry, 'loop_devices', 'Loop devices that exist, by state and kind of owner.', devices, () =>
    source.devices(),
  );
  addNumber(registry, 'orphans', 'Loop devices whose owning user namespace is gone.', () => source.orphans());
  const reaps =
    'Only with reap.mode: tries to detach and to remove orphans, by what became of them; busy: somebody uses it, gone: somebody else was first.';
  const tries = labelProduct({ result });
  addFamily(registry, 'counter', 'reaps_total', reaps, () =>
    reapSamples(source, tries, ({ counts }) => counts),
  );
  const stuck =
    'Only with reap.mode: dead owners for whom a call that reaps never returned: nothing more of theirs is reaped, and with 8 of them nothing at all until the next start.';
  addFamily(registry, 'gauge', 'reaps_stuck', stuck, () => reapSamples(source, [{}], (of) => [of.stuck]));
  const nodes =
    'Nodes of hidden devices and their partitions that are out of the host’s /dev (hide.devnode).';
  addNumber(registry, 'hidden_nodes', nodes, () => source.hiddenNodes());
  const leaks = 'Loop devices with a backing file whose container is gone.';
  addNumber(registry, 'leaks', leaks, () => source.leaks());
  const accesses =
    'What processes of the host did with devices that a container owns: ioctls but those that detach or remove, writes to sysfs uevent files, recorded or counted. Opens are not seen.';
  addCounter(registry, 'host_accesses_total', accesses, labelProduct({ by }), () => source.hostAccesses());
  if (!options.deviceInfo) return;
  const info = 'Always 1; says who owns a device. At most metrics.device_info_limit.';
  addFamily(registry, 'gauge', 'loop_device_info', info, () => infoSamples(source, options.deviceInfoLimit));
}

/** None where reaping is off, as it is on most hosts. */
function reapSamples(
  source: MetricsSource,
  series: Labels[],
  read: (reaps: Reaps) => ArrayLike<number>,
): Sample[] {
  const reaps = source.reaps();
  return reaps === undefined ? [] : closedSeries(series, () => read(reaps))();
}

function infoSamples(source: MetricsSource, limit: number): Sample[] {
  const samples: Sample[] = [];
  if (limit === 0) return samples;
  for (const { device, diskseq, userns, containerId, runtime } of source.deviceInfo(limit)) {
    samples.push({ labels: { device, diskseq, userns, container_id: containerId, runtime }, value: 1 });
    if (samples.length === limit) break;
  }
  return samples;
}
