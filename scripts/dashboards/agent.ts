import { RECORDS } from './agent-records.js';
import { type DashboardPlan, HOSTS, lines, number, states, table } from './panel.js';

export const AGENT_HEALTH: DashboardPlan = {
  name: 'agent',
  title: 'loopwarden: agent health',
  description: 'Whether the agents see everything, write everything down, and what they cost.',
  rows: [
    {
      title: 'Now',
      panels: [
        number('Agents that do not answer', `count(up{${HOSTS}} == 0) or vector(0)`, {
          description: 'What they attached goes on hiding and recording; the audit log stands still.',
          unit: 'none',
          alarm: { from: 1 },
        }),
        number(
          'Hooks without a link',
          `count(max by (job, instance, hook) (loopwarden_hook_attached{${HOSTS}}) == 0) or vector(0)`,
          {
            description:
              'What such a hook sees is neither audited nor decided. With the filter off uevent_delivery is one.',
            unit: 'none',
            alarm: { from: 1 },
          },
        ),
        number(
          'Sockets without the filter',
          `sum(loopwarden_receivers{${HOSTS}, class=~"unfiltered|foreign_filter"})`,
          {
            description: 'Uevent sockets that hear of the devices of containers.',
            unit: 'none',
            alarm: { from: 1 },
          },
        ),
        number('Records unaccounted for', `sum(loopwarden_records_unaccounted{${HOSTS}})`, {
          description: 'Made, but neither read nor counted as lost. Always 0, or something is wrong.',
          unit: 'none',
          alarm: { from: 1 },
        }),
        number(
          'Audit lines lost in an hour',
          `sum(increase(loopwarden_audit_lines_total{${HOSTS}, result="lost"}[1h]))`,
          {
            description: 'Lines that could not be written. The metrics have them, the log does not.',
            unit: 'none',
            alarm: { from: 1 },
          },
        ),
        number('Starts in a day', `sum(changes(loopwarden_start_time_seconds{${HOSTS}}[1d]))`, {
          description: 'Of all chosen agents together.',
          unit: 'none',
        }),
      ],
    },
    RECORDS,
    {
      title: 'Hooks and programs',
      panels: [
        table('Links', `loopwarden_hook_attached{${HOSTS}} == 1`, {
          description: 'The link that each hook is attached by. Which are better: loopwarden doctor.',
          unit: 'none',
          columns: { instance: 'Host', hook: 'Hook', link: 'Link' },
        }),
        lines(
          'Rank of the links',
          [{ expr: `max by (hook) (loopwarden_hook_link_rank{${HOSTS}})`, legend: '{{hook}}' }],
          {
            description: '0 is the best link that a hook has. The highest of the chosen hosts.',
            unit: 'none',
          },
        ),
        lines(
          'Runs of programs',
          [
            {
              expr: `sum by (program) (rate(loopwarden_program_runs_total{${HOSTS}}[$__rate_interval])) > 0`,
              legend: '{{program}}',
            },
          ],
          {
            description:
              'How often each BPF program runs. Only where the kernel counts it: sysctl kernel.bpf_stats_enabled=1.',
            unit: 'ops',
            width: 8,
          },
        ),
        lines(
          'Time of a run',
          [
            {
              expr: `sum by (program) (rate(loopwarden_program_run_seconds_total{${HOSTS}}[$__rate_interval])) / sum by (program) (rate(loopwarden_program_runs_total{${HOSTS}}[$__rate_interval]))`,
              legend: '{{program}}',
            },
          ],
          {
            description: 'Only where the kernel counts it: sysctl kernel.bpf_stats_enabled=1.',
            unit: 's',
            width: 8,
          },
        ),
        lines(
          'Runs left out',
          [
            {
              expr: `sum by (program) (rate(loopwarden_program_missed_total{${HOSTS}}[$__rate_interval])) > 0`,
              legend: '{{program}}',
            },
          ],
          {
            description:
              'The kernel leaves a program out while it is active on the processor; its twin does the work then.',
            unit: 'ops',
            width: 8,
          },
        ),
      ],
    },
    {
      title: 'The process',
      panels: [
        states('Ready?', [{ expr: `loopwarden_ready{${HOSTS}}`, legend: '{{instance}}' }], {
          description: 'Whether the agent does what its config says. A gap: it did not answer.',
          unit: 'none',
          width: 24,
          alarm: { below: 1 },
          words: { '0': 'no', '1': 'yes' },
        }),
        lines(
          'Time of a scrape',
          [{ expr: `topk(10, loopwarden_scrape_duration_seconds{${HOSTS}})`, legend: '{{instance}}' }],
          {
            description: 'The ten slowest. One second: loopfs hangs.',
            unit: 's',
            width: 8,
            alarm: { from: 0.5 },
          },
        ),
        lines(
          'Series of a scrape',
          [{ expr: `topk(10, scrape_samples_scraped{${HOSTS}})`, legend: '{{instance}}' }],
          {
            description: 'The ten hosts with the most. With 100 devices there are at most 500.',
            unit: 'none',
            width: 8,
          },
        ),
        table(
          'Builds',
          `sort_desc(time() - loopwarden_start_time_seconds{${HOSTS}} + on (job, instance) group_left (version, revision) 0 * loopwarden_build_info{${HOSTS}})`,
          {
            description: 'Which build runs where, and for how long.',
            unit: 's',
            width: 8,
            columns: { instance: 'Host', version: 'Version', revision: 'Revision', Value: 'Runs for' },
          },
        ),
      ],
    },
  ],
};
