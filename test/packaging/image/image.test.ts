/**
 * The container image as run.sh has built it from its file, as the pod of the Helm chart: its privileges, its root, its mounts, on this
 * kernel. Podman stands for the kubelet, and runc is what both call. The tests are one story, told in order.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { PACKAGE_ROOT } from '../../../src/kernel/paths.js';
import type { AuditLine } from '../../support/agent-process.js';
import { makeCertificate } from '../../support/certificates.js';
import { makeCgroup } from '../../support/cgroup.js';
import { defer } from '../../support/defer.js';
import { makeFolders } from '../../support/folders.js';
import { ask } from '../../support/http-get.js';
import { tempImage } from '../../support/image.js';
import { ioctls, LOOP_CTL_ADD } from '../../support/ioctl.js';
import { startMonitor } from '../../support/monitor.js';
import { removeDevice } from '../../support/remove-device.js';
import { container, host, type Outcome, openContainer } from '../../support/shell.js';
import { startUdevd, udevDatabase } from '../../support/udevd.js';
import { eventually } from '../../support/wait.js';
import { renderChart, type Values } from '../helm/chart.js';
import { podArguments, podOf } from './pod-arguments.js';
import { type Podman, podman, podmanOfCgroup2, withinMeans } from './podman.js';
import { writeSecret } from './secret.js';

const PORT = 29_847;
/** Of a device that a container makes. */
const NUMBER = 36_001;
const PINS = '/sys/fs/bpf/loopwarden';
const PAGES = `http://127.0.0.1:${PORT}`;
const NAME = `loopwarden-image-test-${process.pid}`;
const { version } = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
  version: string;
};

const folder = mkdtempSync(join(tmpdir(), 'loopwarden-image-'));
const hostPath = join(folder, 'audit');
const VALUES: Values = { http: { port: PORT } };
let image = '';
let agent: Pod;
/** Who sees the cgroups of a pod, and can end it. */
let startedBy = podman;
let made: string[] = [];

interface Pod {
  /** What it has written to stdout: its audit log, unless told otherwise. */
  stdout(): Promise<string>;
  stderr(): Promise<string>;
  /** Of its first process, on the host. */
  pid(): Promise<number>;
  loopwarden(...words: string[]): Promise<string>;
  /** Its exit code. */
  stop(): Promise<number>;
}

/** As a kubelet would start it; resolves when its startup probe succeeds. */
async function startPod(values: Values = VALUES, by: Podman = podman, more: string[] = []): Promise<Pod> {
  const { manifests } = await renderChart(values);
  const { options, args, probe } = podArguments(manifests, folder);
  await removePod();
  startedBy = by;
  const given = [...withinMeans(options), ...more];
  await by.run('run', '--detach', '--pull=never', `--name=${NAME}`, ...given, image, ...args);
  const inspect = (what: string): Promise<string> => by.run('inspect', `--format={{.State.${what}}}`, NAME);
  const logs = (): Promise<Outcome> => by.try('logs', NAME);
  await eventually('the startup probe succeeds', async () => {
    if ((await inspect('Running')) !== 'true')
      throw new Error(`the agent has ended: ${JSON.stringify(await logs())}`);
    return (await by.try('exec', NAME, ...probe)).code === 0;
  });
  return {
    stdout: async () => (await logs()).stdout,
    stderr: async () => (await logs()).stderr,
    pid: async () => Number(await inspect('Pid')),
    loopwarden: (...words) => by.run('exec', NAME, 'loopwarden', ...words),
    async stop() {
      await by.run('stop', '--time=30', NAME);
      const code = Number(await inspect('ExitCode'));
      await by.run('rm', NAME);
      return code;
    },
  };
}

/** The first line of the audit log that has it, once it is there. */
function lineOf(pod: Pod, what: (line: AuditLine) => boolean): Promise<AuditLine> {
  return eventually('the line is in the log', async () => {
    const lines = (await pod.stdout()).split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line)).find(what);
  });
}

/** That of a test that has failed. */
async function removePod(): Promise<void> {
  await startedBy.try('rm', '--force', '--ignore', '--time=1', NAME);
}

async function uninstall(): Promise<void> {
  const { manifests } = await renderChart(VALUES);
  const { options } = podArguments(manifests, folder);
  await podman.run('run', '--rm', '--pull=never', ...withinMeans(options), image, 'uninstall');
}

before(async () => {
  assert.ok(!existsSync(PINS), `an agent is at work on this host, or has left ${PINS}`);
  const { manifests } = await renderChart(VALUES);
  image = podOf(manifests).containers[0].image;
  // What the kubelet makes for the chart, to be taken away again.
  made = podOf(manifests).volumes.flatMap(({ hostPath: wanted }: { hostPath?: { path: string } }) =>
    wanted === undefined || existsSync(wanted.path) ? [] : makeFolders(wanted.path),
  );
});

after(async () => {
  await removePod();
  try {
    if (image !== '' && existsSync(PINS)) await uninstall();
  } finally {
    for (const each of made) rmdirSync(each);
    rmSync(folder, { recursive: true });
  }
});

/** A command in the image's root instead of its entry point, without privileges. */
const inside = (...words: string[]): Promise<string> =>
  podman.run(
    'run',
    '--rm',
    '--pull=never',
    '--network=none',
    ...withinMeans(['--cap-drop=ALL']),
    '--entrypoint=',
    image,
    ...words,
  );

test('the image is the package on its base: as dpkg has installed it, without what built it', async () => {
  const [{ Config: config }] = JSON.parse(await podman.run('image', 'inspect', image));
  assert.deepEqual(
    [config.Entrypoint, config.Cmd, config.User ?? ''],
    [['/usr/bin/loopwarden'], ['run'], ''],
  );
  assert.equal(await inside('dpkg-query', '-W', 'loopwarden'), `loopwarden\t${version}`);
  assert.equal(await inside('dpkg', '--verify', 'loopwarden'), '');
  assert.equal(
    await inside('sh', '-c', 'ls /tmp /src /var/lib/apt/lists 2>/dev/null; command -v clang gcc npm || true'),
    '/tmp:\n\n/var/lib/apt/lists:',
  );
});

test('it says its version with no privilege at all, on a read-only root', async () => {
  const words = ['run', '--rm', '--pull=never', '--network=none', '--read-only', '--read-only-tmpfs=false'];
  const text = await podman.run(
    ...words,
    ...withinMeans(['--cap-drop=ALL', '--user=65534']),
    image,
    '--version',
  );
  assert.equal(text, version);
});

test('the agent starts with what the chart gives it, and keeps no capability of it', async () => {
  agent = await startPod();
  const status = readFileSync(`/proc/${await agent.pid()}/status`, 'utf8');
  assert.match(status, /^CapPrm:\t0+$/m);
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.match(status, /^Seccomp:\t2$/m);
  assert.match(await agent.stderr(), /"left":\[\],"msg":"capabilities given up"/);
});

test('doctor, as the chart’s notes have it called, finds every hook attached and nothing to mend', async () => {
  const { hooks, mends } = JSON.parse(await agent.loopwarden('doctor', '--json'));
  for (const { hook, state } of hooks) assert.equal(state, 'attached', hook);
  assert.deepEqual(mends, []);
});

test('page, metrics and health answer on the host’s loopback', async () => {
  const page = await ask(`${PAGES}/`);
  assert.equal(page.status, 200);
  assert.match(page.body, /<title>[^<]*loopwarden/i);
  for (const path of ['healthz', 'readyz']) assert.equal((await ask(`${PAGES}/${path}`)).status, 200, path);
  assert.match((await ask(`${PAGES}/metrics`)).body, /^loopwarden_filter_mode\{mode="hide"\} 1$/m);
});

const cycle = (path: string): string => `d=$(losetup -f --show ${path}); losetup -d $d`;

async function hostHears(t: TestContext, act: () => Promise<unknown>): Promise<number> {
  const monitor = await startMonitor(t);
  await act();
  await monitor.catchUp();
  return monitor.loopEvents().length;
}

test('a container’s losetup is hidden from the host’s udev and in the container’s log; the host’s own is seen', async (t) => {
  await startUdevd(t);
  const path = tempImage(t);
  const database = udevDatabase();
  assert.equal(await hostHears(t, () => container(cycle(path))), 0);
  assert.deepEqual(udevDatabase(), database);
  const { caller } = await lineOf(agent, ({ command }) => command === 'LOOP_CONFIGURE');
  assert.equal(caller.userns.level, 1);
  assert.ok((await hostHears(t, () => host(cycle(path)))) >= 2);
});

test('devices shows what a container has, from inside the pod', async (t) => {
  const path = tempImage(t);
  const device = await container(`losetup -f --show ${path}`);
  const [listed] = JSON.parse(await agent.loopwarden('devices', '--owner', 'userns', '--json'));
  assert.deepEqual([`/dev/${listed.name}`, listed.hidden, listed.backing.path], [device, true, path]);
});

test('it ends well when it is told to, and what is hidden stays hidden', async (t) => {
  const path = tempImage(t);
  const monitor = await startMonitor(t);
  await agent.loopwarden('doctor');
  assert.equal(await agent.stop(), 0);
  await container(cycle(path));
  await monitor.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);
});

test('the next one takes over, and tells the host’s udev of a device that passes to the host', async (t) => {
  agent = await startPod();
  const monitor = await startMonitor(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  defer(t, () => removeDevice(NUMBER));
  await box.run(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, NUMBER]]));
  await host(`losetup /dev/loop${NUMBER} ${tempImage(t)}`);
  // By sysfs, where the chart lets it write.
  await eventually('the host is told of the device', () =>
    monitor.loopEvents().some(({ ACTION, DEVNAME }) => ACTION === 'add' && DEVNAME === `/dev/loop${NUMBER}`),
  );
  await host(`losetup -d /dev/loop${NUMBER}`);
  assert.equal(await agent.stop(), 0);
});

test('on cgroups v2 it names the container of a losetup that has ended, from a cgroup namespace of its own', async (t) => {
  // Where both versions are mounted, those of v2 have no limits to give.
  agent = await startPod(VALUES, podmanOfCgroup2, ['--cgroupns=private', '--memory=0', '--pids-limit=-1']);
  const id = randomBytes(32).toString('hex');
  const cgroup = makeCgroup(t, `/docker-${id}.scope`);
  const act = `losetup -d $(losetup -f --show ${tempImage(t)})`;
  // It looks away until the caller has ended.
  const pid = await agent.pid();
  process.kill(pid, 'SIGSTOP');
  await host(`echo $$ > ${cgroup.folder}/cgroup.procs; exec unshare -Ur sh -ec '${act}'`);
  process.kill(pid, 'SIGCONT');
  const { container: named } = await lineOf(agent, ({ command }) => command === 'LOOP_CONFIGURE');
  assert.deepEqual(
    [named.runtime, named.id, named.source, named.confidence],
    ['docker', id, 'cgroup', 'high'],
  );
  assert.equal(await agent.stop(), 0);
});

test('with a folder of the node the log is a file there, goes on where it was, and is what was written', async (t) => {
  const values = {
    ...VALUES,
    audit: { hostPath },
    config: { audit: { path: '/var/log/loopwarden/audit.ndjson' } },
  };
  agent = await startPod(values);
  await container(cycle(tempImage(t)));
  for (const next of [1, 2]) {
    const { ok } = JSON.parse(await agent.loopwarden('audit', 'verify', '--json'));
    assert.equal(ok, true);
    assert.match(readFileSync(join(hostPath, 'log/audit.ndjson'), 'utf8'), /LOOP_CONFIGURE/);
    assert.equal(await agent.stop(), 0);
    if (next === 1) agent = await startPod(values);
  }
});

test('with a Secret it asks who reads, over TLS, and heeds the next one without a restart', async () => {
  const secret = join(folder, 'web');
  const { cert, key } = makeCertificate(folder, 'web');
  const write = (password: string): void =>
    writeSecret(secret, {
      'web.yml': `tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\nbasic_auth_users:\n  ann: ${hashSync(password, 4)}\n`,
      'tls.crt': cert,
      'tls.key': key,
    });
  const statusFor = (password: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const options = {
        ca: cert,
        auth: `ann:${password}`,
        agent: false,
        checkServerIdentity: () => undefined,
      };
      const call = request(`https://127.0.0.1:${PORT}/metrics`, options, (answer) => {
        answer.resume().once('end', () => resolve(answer.statusCode));
      });
      call.once('error', reject).end();
    });
  write('first');
  agent = await startPod({ http: { port: PORT, webConfigSecret: 'web' } });
  assert.deepEqual([await statusFor('first'), await statusFor('second')], [200, 401]);
  write('second');
  await eventually('the next one is heeded', async () => (await statusFor('second')) === 200);
  assert.equal(await statusFor('first'), 401);
  assert.equal(await agent.stop(), 0);
});

test('uninstall, in a pod like the agent’s, leaves nothing on the host', async (t) => {
  await uninstall();
  assert.ok(!existsSync(PINS));
  const path = tempImage(t);
  assert.ok((await hostHears(t, () => container(cycle(path)))) >= 2);
});
