import { areas, type DashboardPlan, HOSTS, lines, number, states } from './panel.js';

export const LOOPFS: DashboardPlan = {
  name: 'loopfs',
  title: 'loopwarden: loopfs and quota',
  description: 'Loop devices of containers’ own: who has how many, and who was refused.',
  rows: [
    {
      title: 'Now',
      panels: [
        number('Hosts with loopfs', `sum(loopwarden_loopfs_up{${HOSTS}})`, {
          description: 'Hosts whose process of loopfs answers.',
          unit: 'none',
        }),
        number('Instances', `sum(loopwarden_loopfs_instances{${HOSTS}})`, {
          description: 'One for each container that has loop devices of its own.',
          unit: 'none',
        }),
        number('Devices in instances', `sum(loopwarden_loopfs_devices{${HOSTS}})`, {
          description: 'Made for containers, with or without a backing file.',
          unit: 'none',
        }),
        number('Fullest pool', `max(instance:loopwarden_loopfs_pool_fill:ratio{${HOSTS}})`, {
          description:
            'Devices of all instances against loopfs.devices, on the host where that is most. Past it every container is refused.',
          unit: 'percentunit',
          alarm: { from: 0.8 },
        }),
        number('Refusals in an hour', `sum(increase(loopwarden_loopfs_refusals_total{${HOSTS}}[1h]))`, {
          description: 'Devices that a container asked for and did not get (ENOSPC).',
          unit: 'none',
          alarm: { from: 1 },
        }),
        number('Fewest numbers left', `min(loopwarden_loopfs_numbers_left{${HOSTS}})`, {
          description:
            'No number is given twice before a reboot. Without any left containers get no more devices.',
          unit: 'none',
          alarm: { below: 50000 },
        }),
      ],
    },
    {
      title: 'Quota',
      panels: [
        areas(
          'Devices in instances',
          [{ expr: `sum by (state) (loopwarden_loopfs_devices{${HOSTS}})`, legend: '{{state}}' }],
          {
            description: 'unbound ones wait for a file: made, and not used yet or any more.',
            unit: 'none',
          },
        ),
        lines(
          'How full the pools are',
          [
            {
              expr: `topk(10, instance:loopwarden_loopfs_pool_fill:ratio{${HOSTS}})`,
              legend: '{{instance}}',
            },
          ],
          {
            description: 'The ten hosts with the least room. The alert is at 80 %.',
            unit: 'percentunit',
            alarm: { from: 0.8 },
          },
        ),
        areas(
          'Refusals by limit',
          [
            {
              expr: `sum by (limit) (rate(loopwarden_loopfs_refusals_total{${HOSTS}}[$__rate_interval]))`,
              legend: '{{limit}}',
            },
          ],
          {
            description:
              'instance: its own --max; instance_numbers: numbers in its life; userns: of its user namespace; total: of the host.',
            unit: 'ops',
          },
        ),
        lines(
          'Refusals by host',
          [
            {
              expr: `topk(10, sum by (instance) (rate(loopwarden_loopfs_refusals_total{${HOSTS}}[$__rate_interval])) > 0)`,
              legend: '{{instance}}',
            },
          ],
          {
            description: 'The ten hosts on which most are refused.',
            unit: 'ops',
          },
        ),
      ],
    },
    {
      title: 'Coming and going',
      panels: [
        lines(
          'Instances by host',
          [{ expr: `topk(10, loopwarden_loopfs_instances{${HOSTS}})`, legend: '{{instance}}' }],
          {
            description: 'The ten hosts with the most.',
            unit: 'none',
            width: 8,
          },
        ),
        lines(
          'Devices made and removed',
          [
            {
              expr: `sum by (command) (instance:loopwarden_loop_ioctls:rate5m{${HOSTS}, command=~"LOOP_CTL_ADD|LOOP_CTL_REMOVE"})`,
              legend: '{{command}}',
            },
          ],
          {
            description: 'On the host’s loop-control, where those of instances are made, too.',
            unit: 'ops',
            width: 8,
          },
        ),
        lines(
          'Numbers left',
          [{ expr: `bottomk(10, loopwarden_loopfs_numbers_left{${HOSTS}})`, legend: '{{instance}}' }],
          {
            description:
              'The ten hosts with the fewest. Each device that is made takes one for good, until the host boots.',
            unit: 'none',
            width: 8,
          },
        ),
        states('Does loopfs answer?', [{ expr: `loopwarden_loopfs_up{${HOSTS}}`, legend: '{{instance}}' }], {
          description: 'While it does not, containers get no new devices; those that they have work on.',
          unit: 'none',
          width: 24,
          alarm: { below: 1 },
          words: { '0': 'no', '1': 'yes' },
        }),
      ],
    },
  ],
};
