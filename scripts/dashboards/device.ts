import { areas, type DashboardPlan, HOSTS, lines, number, states, table } from './panel.js';

/** `more`: matchers besides what is chosen on the page. */
const deviceInfo = (more = ''): string =>
  `loopwarden_loop_device_info{${more}${HOSTS}, device=~"$device", runtime=~"$runtime"}`;
const DEVICE = deviceInfo();

/** Needs metrics.device_info. */
export const DEVICE_DETAIL: DashboardPlan = {
  name: 'device',
  title: 'loopwarden: devices and their owners',
  description: 'Whose each loop device is now, and was. Of hosts that say it (metrics.device_info).',
  variables: [
    {
      name: 'device',
      label: 'Device',
      query: 'label_values(loopwarden_loop_device_info{job=~"$job", instance=~"$instance"}, device)',
    },
    {
      name: 'runtime',
      label: 'Runtime',
      query: 'label_values(loopwarden_loop_device_info{job=~"$job", instance=~"$instance"}, runtime)',
    },
  ],
  rows: [
    {
      title: 'Now',
      panels: [
        number('Devices', `count(${DEVICE}) or vector(0)`, {
          description: 'Of those that are chosen above: with a backing file, or owned by a user namespace.',
          unit: 'none',
        }),
        number(
          'Containers that have some',
          `count(count by (instance, container_id) (${deviceInfo('container_id!="", ')})) or vector(0)`,
          {
            description: 'Containers, with or without a user namespace of their own.',
            unit: 'none',
          },
        ),
        number(
          'User namespaces that have some',
          `count(count by (instance, userns) (${deviceInfo('userns!~"initial|unknown", ')})) or vector(0)`,
          {
            description: 'User namespaces other than the initial one.',
            unit: 'none',
          },
        ),
        number('Of nobody that was seen', `count(${deviceInfo('userns="unknown", ')}) or vector(0)`, {
          description: 'Attached before loopwarden ever ran. They are treated as the host’s.',
          unit: 'none',
          alarm: { from: 1 },
        }),
        number(
          'Lives in an hour',
          `count(count by (instance, device, diskseq) (count_over_time(${DEVICE}[1h]))) or vector(0)`,
          {
            description:
              'A device lives from the attaching of a file to its detaching. Lives between two scrapes are not counted.',
            unit: 'none',
          },
        ),
        number('Fullest list', `max(count by (instance) (loopwarden_loop_device_info{${HOSTS}}))`, {
          description:
            'Devices that the host with the most tells of; past metrics.device_info_limit (256) it tells of no more.',
          unit: 'none',
          alarm: { from: 256 },
        }),
        table('Devices and their owners', DEVICE, {
          description:
            'userns is the number of the user namespace, initial for the host, unknown for nobody that was seen.',
          unit: 'none',
          width: 24,
          columns: {
            instance: 'Host',
            device: 'Device',
            diskseq: 'Life',
            runtime: 'Runtime',
            container_id: 'Container',
            userns: 'User namespace',
          },
        }),
      ],
    },
    {
      title: 'Over time',
      panels: [
        states(
          'Lives',
          [
            {
              expr: `sum by (instance, device, diskseq) (${DEVICE})`,
              legend: '{{instance}} {{device}}, life {{diskseq}}',
            },
          ],
          {
            description: 'A bar from the attaching of a file to its detaching. Choose a device above.',
            unit: 'none',
            width: 24,
            words: { '1': 'in use' },
          },
        ),
        areas('Devices by runtime', [{ expr: `count by (runtime) (${DEVICE})`, legend: '{{runtime}}' }], {
          description:
            'What started the container that attached the file; empty: no container, or nobody knows.',
          unit: 'none',
        }),
        lines(
          'Containers with the most',
          [
            {
              expr: `topk(10, count by (instance, container_id) (${DEVICE}))`,
              legend: '{{instance}} {{container_id}}',
            },
          ],
          {
            description: 'The ten containers with the most devices.',
            unit: 'none',
          },
        ),
        lines(
          'Orphans and leaks',
          [
            { expr: `sum by (instance) (loopwarden_orphans{${HOSTS}}) > 0`, legend: '{{instance}}: orphans' },
            { expr: `sum by (instance) (loopwarden_leaks{${HOSTS}}) > 0`, legend: '{{instance}}: leaks' },
          ],
          {
            description:
              'Orphans: the user namespace is gone. Leaks: the container is gone, and the file is still attached.',
            unit: 'none',
          },
        ),
        lines(
          'Attached and detached',
          [
            {
              expr: `sum by (command) (instance:loopwarden_loop_ioctls:rate5m{${HOSTS}, command=~"LOOP_CONFIGURE|LOOP_SET_FD|LOOP_CLR_FD"})`,
              legend: '{{command}}',
            },
          ],
          {
            description:
              'On all devices of the chosen hosts: ioctls are not counted for each device. Detaching stays behind where devices leak.',
            unit: 'ops',
          },
        ),
      ],
    },
  ],
};
