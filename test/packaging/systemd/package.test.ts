/**
 * The Debian package on a Debian 13 with systemd as its first process, Debian's own udev, kernel and Prometheus: from
 * `apt-get install` to `apt-get purge`. run.sh boots it; the tests are one story, told in order.
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { MATRIX } from '../../kernel/matrix.js';
import { defer } from '../../support/defer.js';
import { ask } from '../../support/http-get.js';
import { command, host, openContainer } from '../../support/shell.js';
import { tempFolder } from '../../support/temp-folder.js';
import { eventually } from '../../support/wait.js';
import { differences, type HostTraces, removeLoops, traceHost } from './host-traces.js';
import { startPlacedContainer } from './placed-container.js';
import { type PrometheusService, startPrometheusService } from './prometheus-service.js';
import {
  AGENT,
  AUDIT_LOG,
  auditLines,
  enablement,
  LOOPFS,
  loggedBy,
  mainPid,
  PAGES,
  property,
  SOCKET,
  untilRestarted,
} from './service.js';
import { isSeenByUdev, labelledImage } from './udev-sight.js';

/** Where guest.sh puts it. */
const PACKAGE = '/var/tmp/loopwarden.deb';
const APT = 'DEBIAN_FRONTEND=noninteractive apt-get -q -y';

let untouched: HostTraces;
let watcher: Promise<PrometheusService> | undefined;
/** Started by whoever asks first. */
const startedPrometheus = (): Promise<PrometheusService> => (watcher ??= startPrometheusService());

before(async () => {
  // As other distributions build their kernels: with the driver comes no device, and so no folder of any in sysfs.
  writeFileSync('/etc/modprobe.d/loop.conf', 'options loop max_loop=0\n');
  assert.ok(!existsSync('/sys/module/loop'), 'the loop driver is there already');
  // systemd mounts its file system as soon as the driver is there, which is not for us to undo.
  await host('modprobe fuse; systemctl start sys-fs-fuse-connections.mount');
  untouched = await traceHost();
});

test('apt-get installs it, and as on Debian what is enabled runs', async () => {
  await host(`${APT} install ${PACKAGE}`);
  for (const unit of [AGENT, SOCKET]) {
    assert.equal(await property(unit, 'ActiveState'), 'active', unit);
    assert.equal(await enablement(unit), 'enabled', unit);
  }
  assert.equal(await property(LOOPFS, 'ActiveState'), 'inactive');
  assert.equal(await enablement(LOOPFS), 'disabled');
  assert.deepEqual(await host('systemctl list-units --failed --no-legend --plain'), '');
});

test('it is ready because it has said so, has no capability left, and complains of nothing', async () => {
  assert.equal(await property(AGENT, 'Type'), 'notify');
  assert.equal(await property(AGENT, 'StatusText'), `filter hide; ${PAGES}`);
  assert.equal(await property(AGENT, 'NRestarts'), '0');
  assert.match(readFileSync(`/proc/${await mainPid(AGENT)}/status`, 'utf8'), /^CapPrm:\t0+$/m);
  const complaints = (await loggedBy(AGENT)).filter(({ level }) => level >= 40);
  assert.deepEqual(complaints, []);
});

test('doctor finds each hook on the best link that this kernel has', async () => {
  const { hooks, degraded, mends } = JSON.parse(await host('loopwarden doctor --json'));
  const links = hooks.map(({ hook, link, state }: Record<string, string>) => [hook, link, state]);
  // With Debian's list of LSMs, in which bpf is.
  const expected = Object.entries({ ...MATRIX['6.12'], uevent_delivery: 'lsm' });
  assert.deepEqual(
    links,
    expected.map(([hook, link]) => [hook, link, 'attached']),
  );
  assert.deepEqual(mends, []);
  assert.ok(!degraded.some(({ what }: { what: string }) => /gets every uevent/.test(what)), degraded);
});

test('the host’s udev does not see what a container attaches, and sees what the host does', async (t) => {
  const theirs = await labelledImage(t, 'container');
  const box = await openContainer();
  const device = await box.run(`losetup -f --show ${theirs}`);
  assert.ok(!(await isSeenByUdev('container')));
  const [line] = auditLines('LOOP_CONFIGURE');
  assert.equal(line?.caller.userns.level, 1);
  const listed = await host('loopwarden devices --noheadings --raw -o NAME,HIDDEN');
  assert.match(listed, new RegExp(`^${device.slice('/dev/'.length)} yes$`, 'm'));
  await box.run(`losetup -d ${device}`);
  await box.leave();
  // The same device, which the host has never heard of.
  const own = await labelledImage(t, 'host');
  assert.equal(await host(`losetup -f --show ${own}`), device);
  assert.ok(await isSeenByUdev('host'));
});

test('with the filter off udev does see it: it was the filter that hid it', async (t) => {
  const image = await labelledImage(t, 'unhidden');
  await host('loopwarden filter off');
  const box = await openContainer();
  await box.run(`losetup -f ${image}`);
  assert.ok(await isSeenByUdev('unhidden'));
  await box.leave();
  await host('loopwarden filter on');
});

test('page, metrics and health are there through the socket that systemd holds', async () => {
  const page = await ask(`${PAGES}/`);
  assert.equal(page.status, 200);
  assert.match(page.body, /<title>[^<]*loopwarden/i);
  assert.match(String(page.headers['content-security-policy']), /default-src 'none'/);
  assert.equal((await ask(`${PAGES}/healthz`)).status, 200);
  const ready = await ask(`${PAGES}/readyz`);
  assert.equal(ready.status, 200, ready.body);
  assert.match((await ask(`${PAGES}/metrics`)).body, /^loopwarden_filter_mode\{mode="hide"\} 1$/m);
});

test('Prometheus scrapes it, and the alert of the rules as installed fires for a look at a container’s device', async (t) => {
  const prometheus = await startedPrometheus();
  await eventually('it is scraped', () => prometheus.isScraped(1));
  const image = await labelledImage(t, 'watched');
  const box = await openContainer();
  const device = await box.run(`losetup -f --show ${image}`);
  await host(`losetup -c ${device}`);
  const { labels, annotations } = await prometheus.untilFiring('LoopwardenHostAccess');
  assert.equal(labels.instance, '127.0.0.1:9847');
  assert.match(annotations.summary ?? '', /is at work on a container's loop device$/);
  await box.leave();
});

test('audit verify finds the log as it was written, and a copy that was changed not', async (t) => {
  const { ok } = JSON.parse(await host('loopwarden audit verify --json'));
  assert.equal(ok, true);
  const copy = `${tempFolder(t)}/audit.ndjson`;
  cpSync(AUDIT_LOG, copy);
  await host(`sed -i '0,/LOOP_CONFIGURE/s//LOOP_SET_FD/' ${copy}`);
  const { code, stdout } = await command('loopwarden', ['audit', 'verify', copy]);
  assert.equal(code, 1, stdout);
});

test('loopfs started by its unit gives a container devices of its own, which the host’s udev does not see', async (t) => {
  await host(`systemctl start ${LOOPFS}`);
  assert.equal(await property(LOOPFS, 'ActiveState'), 'active');
  const image = await labelledImage(t, 'placed');
  const container = await startPlacedContainer(t, 'one');
  const device = await container.run(`losetup -f --show ${image}`, image);
  assert.match(await container.run('losetup -a'), new RegExp(`^${device}: `, 'm'));
  assert.ok(!(await isSeenByUdev('placed')));
  assert.match(await container.run(`blkid -p ${device}`), /LABEL="placed"/);
  await container.run(`losetup -d ${device}`);
  await host('loopwarden loopfs detach one');
});

test('loopfs mounts the host’s own instance where the host sees it, and takes it away when its unit is stopped', async () => {
  await host(`systemctl start ${LOOPFS}; loopwarden loopfs create host --host`);
  assert.ok(existsSync('/dev/loopfs-host/loop-control'));
  await host(`loopwarden loopfs detach host; systemctl stop ${LOOPFS}`);
  assert.ok(!existsSync('/dev/loopfs-host/loop-control'));
  assert.equal(await property(LOOPFS, 'Result'), 'success');
  for (const unit of [AGENT, LOOPFS])
    assert.deepEqual(
      (await loggedBy(unit)).filter(({ level }) => level >= 50),
      [],
    );
});

test('killed, it is started anew, and what a container does meanwhile is hidden and in the log', async (t) => {
  const image = await labelledImage(t, 'meanwhile');
  const box = await openContainer();
  const before = auditLines('LOOP_CONFIGURE').length;
  const pid = await mainPid(AGENT);
  process.kill(pid, 'SIGKILL');
  await box.run(`losetup -f ${image}`);
  assert.ok(!(await isSeenByUdev('meanwhile')));
  await untilRestarted(AGENT, pid, 60_000);
  await eventually('its line is written', () => auditLines('LOOP_CONFIGURE').length === before + 1);
  await host('loopwarden audit verify');
  await box.leave();
});

test('stuck, it is killed by systemd’s watchdog and started anew', async () => {
  const pid = await mainPid(AGENT);
  process.kill(pid, 'SIGSTOP');
  await untilRestarted(AGENT, pid, 60_000);
  assert.match(await host(`journalctl --boot --unit ${AGENT}`), /Watchdog timeout/);
});

test('an address that the host’s admin gives the socket is taken at the next restart, and the old one let go', async (t) => {
  const folder = `/etc/systemd/system/${SOCKET}.d`;
  // The upgrade after this starts it anew.
  defer(t, async () => {
    rmSync(folder, { recursive: true });
    await host('systemctl daemon-reload');
  });
  mkdirSync(folder);
  writeFileSync(`${folder}/address.conf`, '[Socket]\nListenStream=\nListenStream=127.0.0.1:9848\n');
  await host(`systemctl daemon-reload; systemctl restart ${AGENT}`);
  assert.equal((await ask('http://127.0.0.1:9848/readyz')).status, 200);
  await assert.rejects(ask(`${PAGES}/readyz`), { code: 'ECONNREFUSED' });
});

test('a newer package takes over while a container’s device stays hidden', async (t) => {
  const image = await labelledImage(t, 'upgraded');
  const box = await openContainer();
  await box.run(`losetup -f ${image}`);
  const pid = await mainPid(AGENT);
  await host(`${APT} install --reinstall ${PACKAGE}`);
  assert.notEqual(await mainPid(AGENT), pid);
  assert.equal(await property(AGENT, 'ActiveState'), 'active');
  // udevd is to look again at every device that it may know of. Not with --settle: for a hidden one that waits for ever.
  await host('udevadm trigger --subsystem-match=block');
  assert.ok(!(await isSeenByUdev('upgraded')));
  await box.leave();
  assert.equal((await ask(`${PAGES}/readyz`)).status, 200);
});

test('so many starts are an alert', async () => {
  const prometheus = await startedPrometheus();
  await prometheus.untilFiring('LoopwardenRestarting');
});

test('stopped, it stays so though Prometheus goes on asking, and containers’ devices stay hidden', async (t) => {
  const prometheus = await startedPrometheus();
  await eventually('it is scraped', () => prometheus.isScraped(1));
  await host(`systemctl reload ${AGENT}; systemctl stop ${AGENT}`);
  assert.equal(await property(AGENT, 'Result'), 'success');
  await eventually('a scrape fails', () => prometheus.isScraped(0));
  assert.equal(await property(AGENT, 'ActiveState'), 'inactive');
  const image = await labelledImage(t, 'unattended');
  const box = await openContainer();
  await box.run(`losetup -f ${image}`);
  assert.ok(!(await isSeenByUdev('unattended')));
  await box.leave();
  await host(`systemctl start ${AGENT}`);
  assert.equal(await property(SOCKET, 'ActiveState'), 'active');
});

test('removed, it hides nothing any more, and has kept config and log', async (t) => {
  await (await watcher)?.end();
  await host(`${APT} remove loopwarden`);
  for (const unit of [AGENT, SOCKET]) assert.equal(await property(unit, 'ActiveState'), 'inactive', unit);
  assert.ok(existsSync('/etc/loopwarden/config.yaml'));
  assert.ok(existsSync(AUDIT_LOG));
  assert.ok(!existsSync('/sys/fs/bpf/loopwarden'));
  const image = await labelledImage(t, 'free');
  const box = await openContainer();
  await box.run(`losetup -f ${image}`);
  assert.ok(await isSeenByUdev('free'));
  await box.leave();
});

test('purged, it leaves nothing: no file, pin, program, unit, mount or device', async () => {
  await host(`${APT} purge loopwarden`);
  await removeLoops();
  assert.deepEqual(differences(untouched, await traceHost()), []);
});
