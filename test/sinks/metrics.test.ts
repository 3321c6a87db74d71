import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { createMetrics } from '../../src/sinks/metrics.js';
import { metricsFixture } from '../metrics-fixture.js';

const OPTIONS = { deviceInfo: true, deviceInfoLimit: 3 };

async function render(...args: Parameters<typeof createMetrics>): Promise<string[]> {
  return (await createMetrics(...args).renderMetrics()).split('\n');
}

test('promtool finds nothing to say', async () => {
  const input = (await render(metricsFixture(), OPTIONS)).join('\n');
  const { stdout, stderr, status } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' });
  assert.deepEqual({ stdout, stderr, status }, { stdout: '', stderr: '', status: 0 });
});

test('each value stands beside its own labels', async () => {
  const lines = new Set(await render(metricsFixture(), OPTIONS));
  for (const line of [
    'loopwarden_loop_ioctls_total{command="LOOP_SET_FD",result="ok"} 0',
    'loopwarden_loop_ioctls_total{command="LOOP_CONFIGURE",result="EBUSY"} 4',
    'loopwarden_loop_devices{state="bound",owner_class="userns"} 5',
    'loopwarden_uevents_total{subsystem="block",action="remove",verdict="hide"} 13',
    'loopwarden_uevent_deliveries_total{verdict="hide",rule="holder"} 20',
    'loopwarden_events_total{kind="uevent"} 2',
    'loopwarden_drops_total{reason="ring_full"} 0',
    'loopwarden_hook_attached{hook="ioctl",link="fexit"} 0',
    'loopwarden_hook_attached{hook="uevent_delivery",link="socket_filter"} 1',
    'loopwarden_ring_bytes{state="available"} 128',
    'loopwarden_ring_bytes{state="size"} 2097152',
    'loopwarden_receivers{class="filtered"} 2',
    'loopwarden_orphans 1',
    'loopwarden_reaps_stuck 1',
    'loopwarden_leaks 2',
    'loopwarden_host_accesses_total{by="uevent"} 5',
    'loopwarden_host_receivers{kind="other"} 1',
    'loopwarden_hook_link_rank{hook="ioctl"} 1',
    'loopwarden_table_entries{table="user_namespaces",state="used"} 5',
    'loopwarden_table_entries{table="owners",state="size"} 16384',
    'loopwarden_gap_records 0',
    'loopwarden_ready 1',
    'loopwarden_start_time_seconds 1764000000',
    'loopwarden_loopfs_device_limit 4096',
    'loopwarden_loopfs_numbers_left 1044480',
    'loopwarden_program_runs_total{program="uevent_filter"} 6',
    'loopwarden_program_run_seconds_total{program="ioctl_enter"} 0.25',
    'loopwarden_audit_lines_total{result="written"} 9',
    'loopwarden_filter_mode{mode="hide"} 1',
    'loopwarden_filter_mode{mode="off"} 0',
    'loopwarden_loopfs_up 1',
    'loopwarden_loopfs_instances 3',
    'loopwarden_loopfs_devices{state="bound"} 4',
    'loopwarden_loopfs_devices{state="unbound"} 1',
    'loopwarden_loopfs_refusals_total{limit="total"} 0',
    'loopwarden_loopfs_refusals_total{limit="instance"} 2',
    '# TYPE loopwarden_loopfs_refusals_total counter',
    'loopwarden_build_info{version="0.1.0",revision="abc"} 1',
    'loopwarden_scrape_duration_seconds 0',
    '# TYPE loopwarden_loop_ioctls_total counter',
  ]) {
    assert.ok(lines.has(line), line);
  }
});

test('the histogram is cumulative and agrees with its count', async () => {
  const prefix = 'loopwarden_loop_ioctl_duration_seconds';
  const lines = (await render(metricsFixture(), OPTIONS)).filter((line) => line.includes('"LOOP_SET_FD"'));
  assert.deepEqual(
    lines.filter((line) => line.startsWith(prefix)),
    [
      ...['0.00001', '0.0001', '0.001', '0.01', '0.1', '1', '10', '+Inf'].map((le, index) => {
        return `${prefix}_bucket{le="${le}",command="LOOP_SET_FD"} ${[1, 3, 3, 3, 3, 3, 3, 6][index]}`;
      }),
      `${prefix}_sum{command="LOOP_SET_FD"} 42.5`,
      `${prefix}_count{command="LOOP_SET_FD"} 6`,
    ],
  );
});

test('while loopfs does not answer there is nothing of it but that', async () => {
  const lines = await render(metricsFixture({ loopfs: async () => undefined }), OPTIONS);
  assert.deepEqual(
    lines.filter((line) => line.startsWith('loopwarden_loopfs')),
    ['loopwarden_loopfs_up 0'],
  );
});

test('a process of loopfs that is older than the agent does not say all', async () => {
  const older = { instances: 1, devices: {}, refusals: {} };
  const lines = await render(metricsFixture({ loopfs: async () => older }), OPTIONS);
  const names = lines.filter((line) => line.startsWith('loopwarden_loopfs')).join();
  assert.match(names, /loopfs_instances 1/);
  assert.doesNotMatch(names, /device_limit|numbers_left/);
});

test('a rule has a series with the verdict that it decides, and none with the other', async () => {
  const lines = await render(metricsFixture(), OPTIONS);
  assert.deepEqual(
    lines.filter((line) => line.startsWith('loopwarden_uevent_deliveries_total')),
    [
      'loopwarden_uevent_deliveries_total{verdict="deliver",rule="not_loop"} 10',
      'loopwarden_uevent_deliveries_total{verdict="hide",rule="holder"} 20',
    ],
  );
});

test('runs of programs and their time are there only where the kernel counts them', async () => {
  const runs = [{ program: 'ioctl_enter', runs: 0, seconds: 0, missed: 3 }];
  const lines = await render(metricsFixture({ programRuns: () => runs }), OPTIONS);
  assert.ok(lines.includes('loopwarden_program_missed_total{program="ioctl_enter"} 3'));
  assert.ok(!lines.some((line) => line.startsWith('loopwarden_program_run')));
});

test('a scrape gives the values of its own moment, not sums', async () => {
  let calls = 0;
  const metrics = createMetrics(metricsFixture({ events: () => [++calls, 0, 0] }), OPTIONS);
  await metrics.renderMetrics();
  assert.match(await metrics.renderMetrics(), /^loopwarden_events_total\{kind="ioctl"\} 2$/m);
});

test('device information is bounded, can be off, and survives hostile names', async () => {
  const info = (lines: string[]) => lines.filter((line) => line.startsWith('loopwarden_loop_device_info{'));
  const lines = info(await render(metricsFixture(), OPTIONS));
  assert.equal(lines.length, 3);
  assert.equal(
    lines[0],
    'loopwarden_loop_device_info{device="loop0",diskseq="0",userns="3",container_id="a\\"b\\\\c\\nd",runtime="crun"} 1',
  );
  assert.equal(info(await render(metricsFixture(), { deviceInfo: false, deviceInfoLimit: 3 })).length, 0);
  assert.equal(info(await render(metricsFixture(), { deviceInfo: true, deviceInfoLimit: 0 })).length, 0);
});

test('a source that cannot be read fails the scrape', async () => {
  const source = metricsFixture({
    drops: () => {
      throw new Error('map closed');
    },
  });
  await assert.rejects(createMetrics(source, OPTIONS).renderMetrics(), /map closed/);
});
