/** Against the running kernel's own cgroups. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findCgroup2, openCgroupHierarchy } from '../../src/identity/cgroup-hierarchy.js';
import { cgroupPathsOf, parseCgroups } from '../../src/identity/process-cgroup.js';
import { bestOf, type CallerPlace, createContainerResolver } from '../../src/identity/resolver.js';
import { parseMounts } from '../../src/kernel/mountinfo.js';
import { loadNative } from '../../src/kernel/native.js';
import { cgroupMount, makeCgroup } from '../support/cgroup.js';
import { defer } from '../support/defer.js';
import { tempFolder } from '../support/temp-folder.js';

const native = loadNative();
const refuse = (reason: string): never => assert.fail(reason);
const hierarchy = openCgroupHierarchy(native, refuse);
const idOf = (seed: string): string => seed.repeat(64).slice(0, 64);
const NOBODY: CallerPlace = { pid: 0x7fffffff, startBootNs: 1n, cgroupId: 0n, mntns: 0 };

function startBootNsOf(pid: number): bigint {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return BigInt(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '') * 10_000_000n;
}

const mntnsOf = (pid: number): number => Number(/\d+/.exec(readlinkSync(`/proc/${pid}/ns/mnt`))?.[0]);

/** A process that has `words` before it, until the test ends. */
async function startProcess(t: TestContext, words: readonly string[] = []): Promise<number> {
  const [file = '', ...args] = [...words, 'sh', '-c', 'echo ready; exec cat'];
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  defer(t, async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

test('the kernel’s id of a cgroup leads to its path, and to nothing when it is gone', async (t) => {
  const cgroup = makeCgroup(t, `/docker/${idOf('a1')}`);
  assert.equal(hierarchy.pathOf(cgroup.id), cgroup.path);
  await cgroup.remove();
  assert.equal(hierarchy.pathOf(cgroup.id), undefined);
  assert.equal(hierarchy.pathOf(0n), undefined);
  assert.equal(hierarchy.pathOf(2n ** 64n - 1n), undefined);
  assert.throws(() => native.cgroupPath('/tmp', 1n), { code: 'EINVAL' });
  assert.throws(() => native.cgroupPath('/nowhere', 1n), { code: 'ENOENT' });
  assert.throws(() => native.cgroupPath(cgroupMount(), 1 as unknown as bigint), TypeError);
  assert.throws(() => native.cgroupPath(cgroupMount(), -1n), RangeError);
});

test('a container is known by its cgroup, with its name, and still when both have gone', async (t) => {
  const id = idOf('a2');
  const root = tempFolder(t);
  const folder = join(root, 'var/lib/docker/containers', id);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.v2.json'), JSON.stringify({ ID: id, Name: '/web' }));
  const cgroup = makeCgroup(t, `/docker/${id}/inner`);
  for (const unified of [true, false]) {
    const resolver = createContainerResolver({ native, hierarchy, root, unified });
    const container = resolver.containerOf({ ...NOBODY, cgroupId: cgroup.id });
    assert.deepEqual(container, {
      runtime: 'docker',
      id,
      name: 'web',
      confidence: 'high',
      source: 'docker state file',
      cgroup: cgroup.path,
    });
    if (unified) continue;
    await cgroup.remove();
    rmSync(folder, { recursive: true });
    assert.equal(resolver.containerOf({ ...NOBODY, cgroupId: cgroup.id }), container);
    // Whoever asks for the first time now gets an answer that says how little is known.
    const late = createContainerResolver({ native, hierarchy, root }).containerOf({
      ...NOBODY,
      cgroupId: cgroup.id,
    });
    assert.deepEqual(late, {
      runtime: 'unknown',
      id: `cgroup ${cgroup.id}`,
      confidence: 'low',
      source: 'nothing',
      cgroup: '',
    });
  }
});

test('where a runtime used another hierarchy, the process says it, and only that very process', async (t) => {
  const id = idOf('a3');
  const cgroup = makeCgroup(t, `/machine.slice/libpod-${id}.scope`);
  const pid = await startProcess(t);
  writeFileSync(join(cgroup.folder, 'cgroup.procs'), String(pid));
  const startBootNs = startBootNsOf(pid) + 1_234_567n;
  assert.ok(cgroupPathsOf(native, { pid, startBootNs })?.includes(cgroup.path));
  assert.equal(cgroupPathsOf(native, { pid, startBootNs: startBootNs + 10_000_000n }), undefined);
  assert.equal(cgroupPathsOf(native, { pid: 0x7fffffff, startBootNs }), undefined);

  // As on cgroup v1: the unified hierarchy has everybody at its root.
  const blind = { pathOf: () => '/' };
  const resolver = createContainerResolver({ native, hierarchy: blind, unified: false, root: tempFolder(t) });
  const container = resolver.containerOf({ pid, startBootNs, cgroupId: 1n, mntns: 0 });
  assert.deepEqual([container.runtime, container.id, container.source], ['podman', id, 'cgroup']);
  process.kill(pid, 'SIGKILL');
  assert.equal(resolver.containerOf({ pid, startBootNs, cgroupId: 1n, mntns: 0 }), container);
  assert.equal(resolver.containerOf({ ...NOBODY, startBootNs, cgroupId: 1n }).runtime, 'host');
});

test('of a process that has ended, another one in its mount namespace tells, with low confidence', async (t) => {
  const id = idOf('a4');
  const cgroup = makeCgroup(t, `/docker/${id}`);
  const pid = await startProcess(t, ['unshare', '-m']);
  writeFileSync(join(cgroup.folder, 'cgroup.procs'), String(pid));
  const blind = { pathOf: () => '/' };
  const resolver = createContainerResolver({ native, hierarchy: blind, unified: false, root: tempFolder(t) });
  const { runtime, source, confidence } = resolver.containerOf({ ...NOBODY, mntns: mntnsOf(pid) });
  assert.deepEqual([runtime, source, confidence], ['docker', 'namespace', 'low']);
});

test('the container of a user namespace is that of a process in it', async (t) => {
  const id = idOf('a5');
  const cgroup = makeCgroup(t, `/docker/${id}`);
  const pid = await startProcess(t, ['unshare', '-Ur']);
  writeFileSync(join(cgroup.folder, 'cgroup.procs'), String(pid));
  const inum = Number(/\d+/.exec(readlinkSync(`/proc/${pid}/ns/user`))?.[0]);
  const resolver = createContainerResolver({ native, hierarchy, root: tempFolder(t) });
  const container = resolver.containerOfUserns(inum);
  assert.deepEqual([container?.id, container?.source, container?.confidence], [id, 'namespace', 'low']);
  assert.equal(resolver.containerOfUserns(1), undefined);
});

test('more cgroups than there is room for are resolved anew, and none is wrong', (t) => {
  const cgroups = Array.from({ length: 12 }, (_, n) => makeCgroup(t, `/lxc.payload.test-identity-${n}`));
  let asked = 0;
  const counting = {
    pathOf(id: bigint) {
      asked++;
      return hierarchy.pathOf(id);
    },
  };
  const resolver = createContainerResolver({ native, hierarchy: counting, capacity: 4, root: tempFolder(t) });
  const nameOf = (n: number) => resolver.containerOf({ ...NOBODY, cgroupId: cgroups[n]?.id ?? 0n }).name;
  for (let n = 0; n < 12; n++) {
    assert.equal(nameOf(n), `test-identity-${n}`);
    // Asked for again and again, it stays.
    assert.equal(nameOf(0), 'test-identity-0');
  }
  assert.equal(asked, 12);
  assert.equal(nameOf(1), 'test-identity-1');
  assert.equal(asked, 13);
});

test('the hierarchy that says most is believed', () => {
  const id = idOf('a6');
  assert.equal(
    bestOf(['/', '/system.slice/containerd.service', `/docker/${id}`, '/user.slice']),
    `/docker/${id}`,
  );
  assert.equal(bestOf(['/', '/a', '/system.slice/cron.service']), '/system.slice/cron.service');
  assert.equal(bestOf([`/x/${id}`, `/docker/${id}`]), `/docker/${id}`);
  assert.equal(bestOf([]), '/');
});

test('the kernel’s list of hierarchies is read whole: v1, v2, hybrid, with colons in a path', () => {
  assert.deepEqual(parseCgroups('0::/init.scope\n'), ['/init.scope']);
  assert.deepEqual(
    parseCgroups('12:cpu,cpuacct:/docker/x\n1:name=systemd:/a:b:c\n0::/\n\nnonsense\n3:pids:relative\n'),
    ['/docker/x', '/a:b:c', '/'],
  );
});

test('the mount of the unified hierarchy is found, wherever it is', () => {
  const line = (point: string, root = '/') =>
    `41 30 0:27 ${root} ${point} rw,nosuid shared:9 - cgroup2 cgroup2 rw\n`;
  assert.equal(findCgroup2(parseMounts(line('/sys/fs/cgroup'))), '/sys/fs/cgroup');
  assert.equal(findCgroup2(parseMounts(`40 1 0:1 / /x rw - tmpfs t rw\n${line('/a\\040b')}`)), '/a b');
  assert.equal(findCgroup2(parseMounts(line('/part', '/docker') + line('/whole'))), '/whole');
  const inPod = line('/sys/fs/cgroup') + line('/host/sys/fs/cgroup', '/../../..') + line('/part', '/../x');
  assert.equal(findCgroup2(parseMounts(inPod)), '/host/sys/fs/cgroup');
  assert.equal(findCgroup2(parseMounts('40 1 0:1 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu\n')), undefined);
});
