import { areas, type DashboardPlan, HOSTS, heat, lines, number, table } from './panel.js';

export const OVERVIEW: DashboardPlan = {
  name: 'overview',
  title: 'loopwarden',
  description: "Loop devices, who owns them, and what the host's udev was kept from.",
  rows: [
    {
      title: 'Is all well?',
      panels: [
        number('Agents that are ready', `sum(loopwarden_ready{${HOSTS}}) / count(up{${HOSTS}})`, {
          description:
            'Share of the agents that do what their config says; those that do not answer count as not ready.',
          unit: 'percentunit',
          alarm: { below: 1 },
        }),
        number(
          'Agents that hide',
          `sum(loopwarden_filter_mode{${HOSTS}, mode="hide"}) / count(up{${HOSTS}})`,
          {
            description:
              'Share of the agents whose filter hides. The others are off, or only count what they would hide.',
            unit: 'percentunit',
            alarm: { below: 1 },
          },
        ),
        number(
          'Alerts that fire',
          `count(ALERTS{alertname=~"Loopwarden.*", alertstate="firing", ${HOSTS}}) or vector(0)`,
          { description: 'Of the rules of loopwarden, on these hosts.', unit: 'none', alarm: { from: 1 } },
        ),
        number('Events lost in an hour', `sum(increase(loopwarden_drops_total{${HOSTS}}[1h]))`, {
          description:
            'Events and owners that did not get out of the kernel. Metrics stay exact, the audit log has a gap.',
          unit: 'none',
          alarm: { from: 1 },
        }),
        number('Orphans', `sum(loopwarden_orphans{${HOSTS}})`, {
          description: 'Loop devices whose user namespace is gone. They are still hidden, and still there.',
          unit: 'none',
          alarm: { from: 1 },
        }),
        number('Leaks', `sum(loopwarden_leaks{${HOSTS}})`, {
          description: 'Loop devices that hold a file although the container that attached it is gone.',
          unit: 'none',
          alarm: { from: 1 },
        }),
      ],
    },
    {
      title: 'Devices',
      panels: [
        areas(
          'Devices in use, by kind of owner',
          [
            {
              expr: `sum by (owner_class) (loopwarden_loop_devices{${HOSTS}, state="bound"})`,
              legend: '{{owner_class}}',
            },
          ],
          {
            description:
              'Loop devices with a backing file: of the host, of user namespaces, and of nobody that was seen.',
            unit: 'none',
          },
        ),
        lines(
          'Hosts with the most devices',
          [{ expr: `topk(10, instance:loopwarden_loop_devices:bound{${HOSTS}})`, legend: '{{instance}}' }],
          { description: 'The ten hosts with the most loop devices in use.', unit: 'none' },
        ),
        areas(
          'Ioctls by command',
          [
            {
              expr: `sum by (command) (instance:loopwarden_loop_ioctls:rate5m{${HOSTS}}) > 0`,
              legend: '{{command}}',
            },
          ],
          { description: 'Loop ioctls that returned, whatever their result.', unit: 'ops' },
        ),
        areas(
          'Ioctls that failed, by result',
          [
            {
              expr: `sum by (result) (instance:loopwarden_loop_ioctl_errors:rate5m{${HOSTS}}) > 0`,
              legend: '{{result}}',
            },
          ],
          {
            description:
              'EBUSY: somebody has the device open. EPERM and EACCES: somebody tries what the kernel denies.',
            unit: 'ops',
          },
        ),
        heat(
          'How long ioctls take',
          [
            {
              expr: `sum by (le) (increase(loopwarden_loop_ioctl_duration_seconds_bucket{${HOSTS}}[$__rate_interval]))`,
              legend: '{{le}}',
            },
          ],
          { description: 'Time in the kernel, all commands together.', unit: 's' },
        ),
        lines(
          'One in a hundred takes longer than',
          [
            {
              expr: `max by (command) (instance:loopwarden_loop_ioctl_duration_seconds:p99_5m{${HOSTS}})`,
              legend: '{{command}}',
            },
          ],
          {
            description: 'The 99th percentile of each command, on the host where it is longest.',
            unit: 's',
            alarm: { from: 1 },
          },
        ),
      ],
    },
    {
      title: 'Hiding',
      panels: [
        areas(
          'Deliveries of loop devices’ uevents, by verdict',
          [
            {
              expr: `sum by (verdict) (instance:loopwarden_uevent_deliveries:rate5m{${HOSTS}})`,
              legend: '{{verdict}}',
            },
          ],
          {
            description: 'Each uevent is decided for each listener. Those about other devices are not here.',
            unit: 'ops',
          },
        ),
        areas(
          'The rules that decided',
          [
            {
              expr: `sum by (verdict, rule) (rate(loopwarden_uevent_deliveries_total{${HOSTS}, rule!="not_loop"}[$__rate_interval])) > 0`,
              legend: '{{verdict}}: {{rule}}',
            },
          ],
          {
            description:
              'Why a uevent was hidden or delivered. observe: it would have been hidden, but the filter only observes.',
            unit: 'ops',
          },
        ),
        areas(
          'Uevents of loop devices',
          [
            {
              expr: `sum by (action, verdict) (rate(loopwarden_uevents_total{${HOSTS}, subsystem="block"}[$__rate_interval])) > 0`,
              legend: '{{action}}: {{verdict}}',
            },
          ],
          { description: 'As they were sent, with the verdict for the host.', unit: 'ops', width: 8 },
        ),
        lines(
          'Uevent sockets',
          [{ expr: `sum by (class) (loopwarden_receivers{${HOSTS}})`, legend: '{{class}}' }],
          {
            description: 'foreign_filter and unfiltered ones hear of the devices of containers.',
            unit: 'none',
            width: 8,
          },
        ),
        lines(
          'The host at containers’ devices',
          [
            {
              expr: `sum by (by) (rate(loopwarden_host_accesses_total{${HOSTS}}[$__rate_interval]))`,
              legend: '{{by}}',
            },
          ],
          {
            description:
              'What processes of the host did with devices that a container owns: ioctls, and writes to uevent files. Opens are not seen.',
            unit: 'ops',
            width: 8,
          },
        ),
      ],
    },
    {
      title: 'Alerts',
      panels: [
        table('Alerts that fire or wait', `ALERTS{alertname=~"Loopwarden.*", ${HOSTS}}`, {
          description: 'What to do about each: docs/runbook.md.',
          unit: 'none',
          width: 24,
          columns: {
            alertname: 'Alert',
            alertstate: 'State',
            severity: 'Severity',
            instance: 'Host',
            job: 'Job',
          },
        }),
      ],
    },
  ],
};
