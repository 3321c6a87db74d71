import { areas, HOSTS, lines, type Row } from './panel.js';

export const RECORDS: Row = {
  title: 'From the kernel to the log',
  panels: [
    lines(
      'Records',
      [
        {
          expr: `sum by (state) (rate(loopwarden_records_total{${HOSTS}}[$__rate_interval]))`,
          legend: '{{state}}',
        },
        { expr: `sum(rate(loopwarden_drops_total{${HOSTS}}[$__rate_interval]))`, legend: 'lost' },
      ],
      {
        description:
          'What there was to record, what of it agents read, and what was only counted, in a flood. Produced is the sum of all others, or the ring fills.',
        unit: 'ops',
      },
    ),
    lines(
      'How full the ring buffers are',
      [{ expr: `topk(10, instance:loopwarden_ring_fill:ratio{${HOSTS}})`, legend: '{{instance}}' }],
      {
        description: 'The ten fullest. When one is full, events are lost.',
        unit: 'percentunit',
        alarm: { from: 0.8 },
      },
    ),
    areas(
      'Lost, by reason',
      [
        {
          expr: `sum by (instance, reason) (rate(loopwarden_drops_total{${HOSTS}}[$__rate_interval])) > 0`,
          legend: '{{instance}}: {{reason}}',
        },
      ],
      {
        description: 'owner_map_full and userns_map_full are owners: such a device is not hidden.',
        unit: 'ops',
        width: 8,
      },
    ),
    lines(
      'How full the tables are',
      [
        {
          expr: `topk(10, instance:loopwarden_table_fill:ratio{${HOSTS}})`,
          legend: '{{instance}}: {{table}}',
        },
      ],
      {
        description: 'Owners of devices, and user namespaces, against their limits.',
        unit: 'percentunit',
        width: 8,
        alarm: { from: 0.8 },
      },
    ),
    areas(
      'Events by kind',
      [
        {
          expr: `sum by (kind) (rate(loopwarden_events_total{${HOSTS}}[$__rate_interval]))`,
          legend: '{{kind}}',
        },
      ],
      {
        description: 'Events that were put into the rings.',
        unit: 'ops',
        width: 8,
      },
    ),
    areas(
      'Audit lines',
      [
        {
          expr: `sum by (result) (rate(loopwarden_audit_lines_total{${HOSTS}}[$__rate_interval]))`,
          legend: '{{result}}',
        },
      ],
      {
        description: 'Lines of the audit log’s file.',
        unit: 'ops',
      },
    ),
    areas(
      'Audit outputs',
      [
        {
          expr: `sum by (output, result) (rate(loopwarden_audit_output_lines_total{${HOSTS}}[$__rate_interval]))`,
          legend: '{{output}}: {{result}}',
        },
      ],
      {
        description: 'Lines for receivers besides the file, where audit.outputs has some.',
        unit: 'ops',
      },
    ),
  ],
};
