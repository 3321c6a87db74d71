/** Debian's Prometheus with the real rules watches a real agent: alerts fire, and end. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { fillVariables, panelsOf, readDashboards } from '../dashboards/dashboard-file.js';
import { readGroups } from '../dashboards/rule-file.js';
import { SERIES_BUDGET } from '../full-host.js';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { makeCgroup } from '../support/cgroup.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { ioctls, LOOP_CLR_FD, LOOP_GET_STATUS64 } from '../support/ioctl.js';
import { startLoopfsHost } from '../support/loopfs-serve.js';
import { startMonitor } from '../support/monitor.js';
import { startPlacedContainer } from '../support/placed-container.js';
import { type FiringAlert, type Prometheus, startPrometheus } from '../support/prometheus.js';
import { host, openContainer } from '../support/shell.js';
import { eventually } from '../support/wait.js';

const JOB = 'loopwarden-test';
const DEADLINE_MS = 30_000;
/** Of the devices that loopfs makes here. */
const FIRST_NUMBER = 34_000;

/** Panels that may have nothing to show of a host that is well, and whose kernel does not count runs. */
const MAY_BE_EMPTY = [
  'loopwarden-agent: Audit outputs',
  'loopwarden-agent: Lost, by reason',
  'loopwarden-agent: Runs left out',
  'loopwarden-agent: Runs of programs',
  'loopwarden-agent: Time of a run',
  'loopwarden-device: Orphans and leaks',
];

/** The real rules; only that they wait for seconds instead of minutes and hours. */
function hastyGroups(): unknown[] {
  return readGroups().map((group) => ({
    ...group,
    interval: '1s',
    rules: group.rules.map((rule) =>
      'alert' in rule && rule.for !== undefined ? { ...rule, for: '2s' } : rule,
    ),
  }));
}

async function watched(t: TestContext, settings: NodeJS.ProcessEnv = {}) {
  const agent = await startAgent(t, agentEnvironment(t, settings));
  const target = new URL(agent.url).host;
  const prometheus = await startPrometheus(t, { target, job: JOB, groups: hastyGroups() });
  await eventually('the agent is scraped', async () => {
    const [sample] = await prometheus.query(`up{job="${JOB}"}`);
    return sample?.value === 1;
  });
  return { agent, prometheus, target };
}

function untilFiring(prometheus: Prometheus, name: string): Promise<FiringAlert> {
  return eventually(
    `${name} fires`,
    async () =>
      (await prometheus.alerts()).find(
        ({ labels, state }) => labels.alertname === name && state === 'firing',
      ),
    DEADLINE_MS,
  );
}

function untilQuiet(prometheus: Prometheus, name: string): Promise<unknown> {
  return eventually(
    `${name} ends`,
    async () => !(await prometheus.alerts()).some(({ labels }) => labels.alertname === name),
    DEADLINE_MS,
  );
}

test('every rule is evaluated, and nothing is alarming about an agent that is well', async (t) => {
  const { prometheus } = await watched(t);
  const image = tempImage(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  await box.run(`d=$(losetup -f --show ${image}); losetup -d $d`);
  const rules = await eventually(
    'every rule was evaluated twice',
    async () => {
      const { groups } = await prometheus.get('rules');
      const all = groups.flatMap((group: { rules: unknown[] }) => group.rules);
      const [scrapes] = await prometheus.query('count_over_time(job:loopwarden_agents:up[1m])');
      return (scrapes?.value ?? 0) >= 5 && all;
    },
    DEADLINE_MS,
  );
  const sick = rules.filter(({ health, lastError }: Record<string, string>) => health !== 'ok' || lastError);
  assert.deepEqual(sick, []);
  assert.equal(rules.length, readGroups().flatMap((group) => group.rules).length);
  const firing = (await prometheus.alerts()).map(({ labels }) => labels.alertname);
  assert.deepEqual(firing, []);

  const count = async (selector: string): Promise<number> =>
    (await prometheus.query(`count(${selector})`))[0]?.value ?? 0;
  assert.ok((await count('{__name__=~"loopwarden_.*"}')) <= SERIES_BUDGET);
  const ofHost = await count('{__name__=~"instance:loopwarden_.*"}');
  assert.ok(ofHost > 20 && ofHost < 50, `${ofHost} recorded series of a host, as docs/fleet.md says`);
  const fleet = await count('{__name__=~"job:loopwarden_.*"}');
  assert.ok(fleet > 40 && fleet < 100, `${fleet} series of the fleet, as docs/fleet.md says`);
  const [attached] = await prometheus.query(
    'loopwarden_loop_ioctls_total{command="LOOP_CONFIGURE",result="ok"}',
  );
  assert.equal(attached?.value, 1);
});

async function emptyPanels(prometheus: Prometheus): Promise<string[]> {
  const empty: string[] = [];
  for (const dashboard of readDashboards()) {
    for (const { title, targets } of panelsOf(dashboard)) {
      const answers = await Promise.all(targets.map(({ expr }) => prometheus.query(fillVariables(expr))));
      if (answers.every(({ length }) => length === 0)) empty.push(`${dashboard.uid}: ${title}`);
    }
  }
  return empty.filter((panel) => !MAY_BE_EMPTY.includes(panel));
}

test('every panel’s query is answered, and on a host with loopfs at work each has something to show', async (t) => {
  const serving = await startLoopfsHost(t, FIRST_NUMBER);
  const { prometheus } = await watched(t, { LOOPWARDEN_LOOPFS_SOCKET: serving.socket });
  await startMonitor(t);
  const image = tempImage(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const device = await box.run(`losetup -f --show ${image}`);
  // Its second detaching fails.
  await box.run(
    ioctls(device, [
      [LOOP_CLR_FD, 0],
      [LOOP_CLR_FD, 0],
    ]),
  );
  await box.run(`losetup ${device} ${image}`);
  const placed = await startPlacedContainer(t, serving, 'full', 1);
  const theirs = placed.image(1 << 20);
  await placed.run(`losetup -f ${theirs}`);
  assert.equal((await placed.try(`losetup -f ${theirs}`)).code, 1, 'past its limit');
  let empty: string[] = [];
  await eventually(
    'every panel has something',
    async () => {
      empty = await emptyPanels(prometheus);
      return empty.length === 0;
    },
    DEADLINE_MS,
  ).catch(() => assert.deepEqual(empty, []));
});

test('an alert fires when the filter is switched off, says so in words, and ends when it is on again', async (t) => {
  const { agent, prometheus, target } = await watched(t);
  assert.equal((await agent.cli('filter', 'off')).code, 0);
  const alert = await untilFiring(prometheus, 'LoopwardenFilterOff');
  assert.deepEqual(alert.labels, {
    alertname: 'LoopwardenFilterOff',
    instance: target,
    job: JOB,
    mode: 'off',
    severity: 'warning',
  });
  assert.equal(alert.annotations.summary, `The uevent filter on ${target} is off`);
  assert.equal(alert.annotations.runbook, 'docs/runbook/LoopwardenFilterOff.md');
  // The delivery hook has let go, as it is to: no hook is lost.
  const names = (await prometheus.alerts()).map(({ labels }) => labels.alertname);
  assert.ok(!names.includes('LoopwardenHookLost'), names.join());
  assert.equal((await agent.cli('filter', 'on')).code, 0);
  await untilQuiet(prometheus, 'LoopwardenFilterOff');
});

test('a container that leaves its device behind is an orphan’s alert, until somebody detaches it', async (t) => {
  const { prometheus } = await watched(t);
  const image = tempImage(t);
  const box = await openContainer();
  const device = await box.run(`losetup -f --show ${image}`);
  defer(t, () => host(`losetup -d ${device} 2>/dev/null || true`));
  await box.leave();
  const { annotations } = await untilFiring(prometheus, 'LoopwardenOrphans');
  assert.match(annotations.description ?? '', /^1 devices belong to user namespaces that are gone/);
  await host(`losetup -d ${device}`);
  await untilQuiet(prometheus, 'LoopwardenOrphans');
});

test('a container of the host’s own user namespace that leaves its device behind is a leak, once it has gone', async (t) => {
  const cgroup = makeCgroup(t, `/docker/${randomBytes(32).toString('hex')}`);
  const { agent, prometheus } = await watched(t);
  const image = tempImage(t);
  const device = await host(`echo $$ > ${cgroup.folder}/cgroup.procs; losetup -f --show ${image}`);
  await agent.settle();
  assert.equal((await agent.metrics()).get('loopwarden_leaks'), 0, 'while it is there');
  await cgroup.remove();
  await untilFiring(prometheus, 'LoopwardenLeaks');
  await host(`losetup -d ${device}`);
  await untilQuiet(prometheus, 'LoopwardenLeaks');
});

test('a tool of the host that looks at a container’s device is told, the container itself is not', async (t) => {
  const { agent, prometheus } = await watched(t);
  const image = tempImage(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  const device = await box.run(`losetup -f --show ${image}`);
  const look = ioctls(device, [[LOOP_GET_STATUS64, 'buffer:232']]);
  await box.run(look);
  await agent.settle();
  const looks = async () => (await agent.metrics()).get('loopwarden_host_accesses_total{by="ioctl"}');
  assert.equal(await looks(), 0);
  await host(look);
  await agent.settle();
  assert.equal(await looks(), 1);
  const { annotations } = await untilFiring(prometheus, 'LoopwardenHostAccess');
  assert.match(annotations.description ?? '', /The audit log says whose they were/);
  // What cleans up is no access.
  await host(`losetup -d ${device}`);
  await agent.settle();
  assert.equal(await looks(), 1);
});

test('an agent that has gone is told', async (t) => {
  const { agent, prometheus, target } = await watched(t);
  assert.equal(await agent.stop(), 0);
  const { labels, annotations } = await untilFiring(prometheus, 'LoopwardenDown');
  assert.equal(labels.severity, 'critical');
  assert.equal(annotations.summary, `No loopwarden agent answers on ${target}`);
});
