/** The hooks and the BPF programs on them. */
import type { Registry } from 'prom-client';
import type { Sample } from '../absolute-metric.js';
import type { MetricsSource } from '../metrics-source.js';
import { addFamily, addGauge } from './family.js';

type ProgramRuns = ReturnType<MetricsSource['programRuns']>[number];

export function addPrograms(registry: Registry, source: MetricsSource): void {
  const hooks = source.labels.hooks.map(({ hook, link }) => ({ hook, link }));
  addGauge(registry, 'hook_attached', '1 for the link that a hook is attached by.', hooks, () =>
    source.hooksAttached(),
  );
  const ranks = 'Place of that link among those of its hook, 0 the best; absent while there is none.';
  addFamily(registry, 'gauge', 'hook_link_rank', ranks, () =>
    source
      .hookRanks()
      .flatMap(({ hook, rank }) => (rank === undefined ? [] : [{ labels: { hook }, value: rank }])),
  );
  const samplesOf = (count: (runs: ProgramRuns) => number): Sample[] =>
    source.programRuns().map((runs) => ({ labels: { program: runs.program }, value: count(runs) }));
  const missed = 'Calls that a BPF program was not run for, since it was running on that CPU already.';
  addFamily(registry, 'counter', 'program_missed_total', missed, () => samplesOf((each) => each.missed));
  /** The kernel counts runs only where it was told to. */
  const addCounted = (name: string, what: string, count: (runs: ProgramRuns) => number): void =>
    addFamily(
      registry,
      'counter',
      name,
      `${what} of each BPF program; absent unless the kernel counts it (kernel.bpf_stats_enabled).`,
      () => (source.programRuns().some(({ runs }) => runs > 0) ? samplesOf(count) : []),
    );
  addCounted('program_runs_total', 'Runs', ({ runs }) => runs);
  addCounted('program_run_seconds_total', 'Time', ({ seconds }) => seconds);
}
