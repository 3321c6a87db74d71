/** An instance is attached to running containers of systemd-nspawn and LXC, as docs/loopfs.md tells. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { defer } from '../support/defer.js';
import { loopsBetween } from '../support/loopfs.js';
import { type LoopfsHost, startLoopfsHost } from '../support/loopfs-serve.js';
import { MAPPED_ROOT } from '../support/mapped-container.js';
import { makeRootFolder } from '../support/oci-bundle.js';
import { host } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { eventually } from '../support/wait.js';

const FIRST = 48_000;

/** What the container runs: it is there before its devices are, and ends when it has used one. */
const INIT = `#!/bin/sh
exec >/report 2>&1
until [ -e /dev/loop-control ]; do sleep 0.05; done
truncate -s 4M /tmp/disk.img
d=$(/sbin/losetup -f --show /tmp/disk.img) || exit
/sbin/losetup -n -O NAME,BACK-FILE $d
/sbin/losetup -d $d && echo detached
`;

function makeRoot(t: TestContext): string {
  const folder = tempFolder(t);
  chmodSync(folder, 0o755);
  const rootfs = join(folder, 'rootfs');
  makeRootFolder(rootfs);
  // systemd-nspawn starts nothing that does not look like an operating system.
  for (const name of ['etc', 'run', 'usr', 'var']) mkdirSync(join(rootfs, name), { recursive: true });
  writeFileSync(join(rootfs, 'etc/os-release'), 'ID=test\n');
  for (const name of ['etc', 'etc/os-release', 'run', 'usr', 'var'])
    chownSync(join(rootfs, name), MAPPED_ROOT, MAPPED_ROOT);
  writeFileSync(join(rootfs, 'init'), INIT, { mode: 0o755 });
  return rootfs;
}

/** Starts a runtime in the foreground; `stop` ends its container however far it came. */
function startRuntime(t: TestContext, [file = '', ...words]: string[], stop: () => Promise<unknown>) {
  const child = spawn(file, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  defer(t, async () => {
    if (child.exitCode === null) await stop();
    child.kill('SIGKILL');
    await ended;
  });
  return { pid: child.pid ?? 0, ended, said: () => said };
}

async function useInstance(
  serving: LoopfsHost,
  { leader, rootfs }: { leader: number; rootfs: string },
  runtime: ReturnType<typeof startRuntime>,
): Promise<void> {
  await serving.ask('create', 'machine', '--uid-base', String(MAPPED_ROOT), '--max', '2');
  await serving.ask('attach', 'machine', '--pid', String(leader));
  assert.equal(await runtime.ended, 0, runtime.said());
  const report = readFileSync(join(rootfs, 'report'), 'utf8');
  assert.match(report, new RegExp(`^/dev/loop${FIRST} +/tmp/disk.img\\ndetached\\n$`));
  await eventually('nothing is left', async () => (await loopsBetween(FIRST, FIRST + 999)).length === 0);
}

/** The pid, on the host, of the first process in a container of this one. */
async function childIn(parent: number): Promise<number | undefined> {
  const text = await host(`
    for p in $(pgrep -u ${MAPPED_ROOT} -x sh,init 2>/dev/null || pgrep -u ${MAPPED_ROOT}); do
      q=$p; while [ "$q" -gt 1 ]; do
        [ "$q" -eq ${parent} ] && { echo $p; exit; }
        q=$(awk '/^PPid/ { print $2 }' /proc/$q/status 2>/dev/null || echo 0)
      done
    done`);
  return text === '' ? undefined : Number(text);
}

test('a container of systemd-nspawn has its devices while it runs', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const rootfs = makeRoot(t);
  const runtime = startRuntime(
    t,
    [
      'systemd-nspawn',
      ...['--quiet', '--register=no', '--keep-unit', '--settings=no', '--console=pipe', '--as-pid2'],
      ...[`--private-users=${MAPPED_ROOT}:65536`, '--private-users-ownership=off'],
      ...['-D', rootfs, '/init'],
    ],
    async () => process.kill(runtime.pid, 'SIGTERM'),
  );
  const leader = await eventually('the container runs', () => childIn(runtime.pid));
  await useInstance(serving, { leader, rootfs }, runtime);
});

test('a container of LXC whose device cgroup is closed otherwise has its devices while it runs', async (t) => {
  const serving = await startLoopfsHost(t, FIRST);
  const rootfs = makeRoot(t);
  const folder = tempFolder(t);
  chmodSync(folder, 0o755);
  const name = `loopwarden-${process.pid}`;
  const version = (await host('stat -fc %T /sys/fs/cgroup')).startsWith('cgroup2') ? 'cgroup2' : 'cgroup';
  const config = join(folder, 'config');
  writeFileSync(
    config,
    `lxc.rootfs.path = dir:${rootfs}
lxc.idmap = u 0 ${MAPPED_ROOT} 65536
lxc.idmap = g 0 ${MAPPED_ROOT} 65536
lxc.net.0.type = empty
lxc.mount.auto = proc:mixed sys:ro
lxc.apparmor.profile = unconfined
lxc.${version}.devices.deny = a
lxc.${version}.devices.allow = c *:* rwm
lxc.${version}.devices.allow = b 7:* rwm
lxc.${version}.devices.allow = b 259:* rwm
lxc.init.cmd = /init
`,
  );
  const path = `-P ${folder} -n ${name}`;
  const runtime = startRuntime(t, ['lxc-start', ...path.split(' '), '-F', '-f', config], () =>
    host(`lxc-stop ${path} -k`),
  );
  // LXC's own, which it leaves behind.
  defer(t, () => host('rmdir /sys/fs/cgroup/lxc.pivot /sys/fs/cgroup/*/lxc.pivot 2>/dev/null || true'));
  const leader = await eventually('the container runs', async () => {
    const pid = Number(await host(`lxc-info ${path} -p -H 2>/dev/null || true`));
    return pid > 0 && pid;
  });
  await useInstance(serving, { leader, rootfs }, runtime);
});
