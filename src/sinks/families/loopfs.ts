/** Loopfs. Another process: while it does not answer nothing is known, and 0 would be a counter that began anew. */
import type { Registry } from 'prom-client';
import { closedSeries, type Labels, labelProduct } from '../absolute-metric.js';
import type { LoopfsCounts, MetricsSource } from '../metrics-source.js';
import { addFamily, type FamilyType } from './family.js';

export function addLoopfs(registry: Registry, source: MetricsSource): void {
  const { loopfsStates: state, refusalLimits: limit } = source.labels;
  const up = '1 while the process of loopfs answers; without it the others of loopfs are absent.';
  addFamily(registry, 'gauge', 'loopfs_up', up, async () => [
    { value: Number((await source.loopfs()) !== undefined) },
  ]);
  /** Undefined: a process that is older than the agent does not say. */
  const addCounts = (
    type: FamilyType,
    name: string,
    help: string,
    series: Labels[],
    read: (counts: LoopfsCounts) => (number | undefined)[],
  ): void =>
    addFamily(registry, type, name, help, async () => {
      const counts = await source.loopfs();
      const values = counts === undefined ? [] : read(counts);
      return values.length === 0 || values.includes(undefined)
        ? []
        : closedSeries(series, () => values as number[])();
    });
  const instances = "Instances of loopfs; the host's own is not counted.";
  addCounts('gauge', 'loopfs_instances', instances, [{}], (each) => [each.instances]);
  const devices = 'Loop devices in instances of loopfs, by state.';
  addCounts('gauge', 'loopfs_devices', devices, labelProduct({ state }), (each) =>
    state.map((name) => each.devices[name] ?? 0),
  );
  const most = 'Most devices of all instances together (loopfs.devices).';
  addCounts('gauge', 'loopfs_device_limit', most, [{}], (each) => [each.deviceLimit]);
  const numbers = 'Numbers for devices of containers that are left until the next boot: none is given twice.';
  addCounts('gauge', 'loopfs_numbers_left', numbers, [{}], (each) => [each.numbersLeft]);
  const refusals = 'Devices that a container was refused (ENOSPC), by the limit that it had come to.';
  addCounts('counter', 'loopfs_refusals_total', refusals, labelProduct({ limit }), (each) =>
    limit.map((name) => each.refusals[name] ?? 0),
  );
}
