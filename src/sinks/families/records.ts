/** The way of the records: out of the kernel, through the ring, into the audit log. */
import type { Registry } from 'prom-client';
import { type Labels, labelProduct } from '../absolute-metric.js';
import type { MetricsSource } from '../metrics-source.js';
import { addCounter, addGauge, addNumber } from './family.js';

const RECORD_STATES: Labels[] = ['produced', 'delivered', 'aggregated'].map((state) => ({ state }));
const RING_STATES: Labels[] = [{ state: 'available' }, { state: 'size' }];
const LINE_RESULTS: Labels[] = [{ result: 'written' }, { result: 'lost' }];

export function addRecords(registry: Registry, source: MetricsSource): void {
  const { eventKinds: kind, dropReasons: reason } = source.labels;
  addCounter(registry, 'events_total', 'Events that reached the agent.', labelProduct({ kind }), () =>
    source.events(),
  );
  const drops = 'Events and owners that were lost in the kernel.';
  addCounter(registry, 'drops_total', drops, labelProduct({ reason }), () => source.drops());
  const ring = 'Ring buffer: bytes waiting to be read, and its size.';
  addGauge(registry, 'ring_bytes', ring, RING_STATES, () => {
    const { available, size } = source.ringBytes();
    return [available, size];
  });
  addAccounts(registry, source);
  addTables(registry, source);
  addAudit(registry, source);
}

/** One reading of the accounts serves both families of a scrape. */
function addAccounts(registry: Registry, source: MetricsSource): void {
  let totals = { produced: 0, delivered: 0, aggregated: 0, unaccounted: 0 };
  const help =
    'What there was to record: all of it, records that agents read, what was counted instead. The rest are drops.';
  addCounter(registry, 'records_total', help, RECORD_STATES, () => {
    totals = source.records();
    return [totals.produced, totals.delivered, totals.aggregated];
  });
  const missing =
    'Records that were neither read nor counted instead nor dropped: always 0, or something is wrong.';
  addNumber(registry, 'records_unaccounted', missing, () => totals.unaccounted);
  const gap = 'Records that an agent of another version left, and this one could not read.';
  addNumber(registry, 'gap_records', gap, () => source.gapRecords());
}

function addTables(registry: Registry, source: MetricsSource): void {
  const series = labelProduct({ table: source.labels.tables, state: ['used', 'size'] });
  const help =
    'Entries of the tables in the kernel, and their size (limits.devices, limits.user_namespaces).';
  addGauge(registry, 'table_entries', help, series, () =>
    source.tableEntries().flatMap(({ used, size }) => [used, size]),
  );
}

function addAudit(registry: Registry, source: MetricsSource): void {
  addCounter(registry, 'audit_lines_total', 'Lines of the audit log.', LINE_RESULTS, () => {
    const { written, lost } = source.auditLines();
    return [written, lost];
  });
  const { outputs: output, outputResults: result } = source.labels;
  const help = 'Lines of the audit log for audit.outputs, by what became of them.';
  addCounter(registry, 'audit_output_lines_total', help, labelProduct({ output, result }), () =>
    source.outputLines(),
  );
}
