/** Who meets a rule of receivers.allow, and who only says so. The same on a real kernel: test/bypass/get-onto-the-allow-list. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { receiverRulesOf } from '../../src/config/receiver-rule.js';
import { identifyCgroup } from '../../src/identity/cgroup-path.js';
import type { Container } from '../../src/identity/container.js';
import { type AllowList, createAllowList, type Listener } from '../../src/policy/allow-list.js';

const HEX = '4f797c539e6c'.padEnd(64, '0');
const POD = '6c6f6f70-7761-7264-656e-000000000001';
const NAME = 'rook-ceph/rook-discover-x7/rook-discover';

/** In a cgroup; `more`: what a runtime's file says. */
function placed(cgroup: string, more: Partial<Container> = {}): Container {
  return { ...identifyCgroup(cgroup), source: 'cgroup', cgroup, ...more };
}

function listener(more: Partial<Listener> = {}): Listener {
  const container = placed('/system.slice/a.service');
  const cgroups = () => ['/', (more.container ?? container).cgroup];
  return { pid: 7, uid: 0, userns: 3n, usernsLevel: 0, pidnsLevel: 0, container, cgroups, ...more };
}

const inCgroup = (cgroup: string, more: Partial<Container> = {}): Listener =>
  listener({ container: placed(cgroup, more) });

function listOf(text: string, usernsOf: (inum: number) => bigint | undefined = () => undefined): AllowList {
  const runsExecutable = (pid: number, path: string): boolean => pid === 7 && path === '/usr/bin/listed';
  return createAllowList({ rules: receiverRulesOf(text), runsExecutable, usernsOf });
}

const meets = (text: string, who: Listener): boolean => listOf(text).ruleFor(who) !== undefined;

test('an executable is the host’s file, run by the host’s root outside of containers', () => {
  assert.equal(listOf('/usr/bin/listed').ruleFor(listener()), '/usr/bin/listed');
  for (const other of [{ pid: 8 }, { uid: 1000 }, { usernsLevel: 1, userns: 77n }, { pidnsLevel: 1 }])
    assert.equal(meets('/usr/bin/listed', listener(other)), false, JSON.stringify(Object.keys(other)));
});

test('a unit is one of the host’s own systemd, and not what it runs in containers', () => {
  const rule = 'unit:incus.service';
  for (const cgroup of [
    '/system.slice/incus.service',
    '/system.slice/incus.service/supervisor',
    '/a.slice/a-b.slice/incus.service',
  ])
    assert.ok(meets(rule, inCgroup(cgroup)), cgroup);
  for (const cgroup of [
    '/system.slice/other.service/incus.service',
    '/user.slice/user-1000.slice/user@1000.service/app.slice/incus.service',
    `/docker/${HEX}/system.slice/incus.service`,
    `/system.slice/docker-${HEX}.scope/incus.service`,
    '/lxc.payload.web/system.slice/incus.service',
    '/by-hand/incus.service',
    `/system.slice/incus.service/libpod-payload-${HEX}`,
    `/system.slice/incus.service/docker/${HEX}`,
    '/system.slice/incus.service.service',
  ])
    assert.equal(meets(rule, inCgroup(cgroup)), false, cgroup);
  const container = placed('/system.slice/incus.service');
  assert.equal(meets(rule, listener({ container, pidnsLevel: 1 })), false);
  assert.equal(meets(rule, listener({ container, usernsLevel: 1 })), false);
});

test('a cgroup is a whole path from the root, and all below it', () => {
  assert.ok(meets('cgroup:/lxc.payload.web', inCgroup('/lxc.payload.web')));
  assert.ok(meets('cgroup:/lxc.payload.web', inCgroup('/lxc.payload.web/system.slice/udev.service')));
  for (const cgroup of ['/lxc.payload.web2', '/other/lxc.payload.web', '/', '/../lxc.payload.web', ''])
    assert.equal(meets('cgroup:/lxc.payload.web', inCgroup(cgroup)), false, cgroup);
});

test('a container’s name is one that its runtime wrote down, where only the host makes folders', () => {
  const told: Partial<Container> = { name: NAME, pod: POD, confidence: 'high', source: 'containerd bundle' };
  const pod = `/kubepods.slice/kubepods-pod${POD.replaceAll('-', '_')}.slice/cri-containerd-${HEX}.scope`;
  assert.ok(meets('preset:csi-drivers', inCgroup(pod, told)));
  assert.ok(meets('preset:csi-drivers', inCgroup(`/kubepods/burstable/pod${POD}/${HEX}`, told)));
  for (const [cgroup, more] of [
    [pod, { ...told, name: 'tenant/rook-discover-x7/rook-discover' }],
    [pod, { ...told, name: 'rook-ceph/rook-discover-x7/other' }],
    [pod, { ...told, confidence: 'low' }],
    [pod, { ...told, source: 'namespace' }],
    // A machine with escaped slashes in its name.
    ['/machine.slice/machine-x.scope', { name: NAME, confidence: 'high', source: 'machine state file' }],
    // A container of no known shape that has made folders with the id of another.
    [`/by-hand/cri-containerd-${HEX}.scope`, told],
    [`/by-hand/kubepods/pod${POD}/${HEX}`, told],
    [`/user.slice/user-1.slice/user@1.service/cri-containerd-${HEX}.scope`, told],
  ] as [string, Partial<Container>][])
    assert.equal(meets('preset:csi-drivers', inCgroup(cgroup, more)), false, cgroup);
});

test('a user namespace is whom its number named at the start, and nobody later', () => {
  const names = new Map([[4_026_532_101, 77n]]);
  const list = listOf('userns:4026532101', (inum) => names.get(inum));
  assert.equal(list.ruleFor(listener({ userns: 77n, usernsLevel: 1 })), 'userns:4026532101');
  names.set(4_026_532_101, 78n);
  assert.equal(list.ruleFor(listener({ userns: 78n, usernsLevel: 1 })), undefined);
  assert.equal(listOf('userns:4026532101').ruleFor(listener({ userns: 77n, usernsLevel: 1 })), undefined);
  // Its id, which is never given again, does as well.
  assert.ok(meets('userns:77', listener({ userns: 77n, usernsLevel: 1 })));
});
