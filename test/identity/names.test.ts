import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { CgroupIdentity, Runtime } from '../../src/identity/container.js';
import { lookUpName } from '../../src/identity/names.js';
import { tempFolder } from '../support/temp-folder.js';

const ID = 'ab'.repeat(32);
const UID = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
const DOCKER = `var/lib/docker/containers/${ID}/config.v2.json`;
const PODMAN = 'var/lib/containers/storage/overlay-containers/containers.json';
const TASKS = 'run/containerd/io.containerd.runtime.v2.task';
const CRIO = `run/containers/storage/overlay-containers/${ID}/userdata/config.json`;

const identity = (runtime: Runtime, id = ID): CgroupIdentity => ({ runtime, id, confidence: 'high' });

/** A host with these files; what is no text becomes JSON. */
function hostWith(t: TestContext, files: Record<string, unknown>): string {
  const root = tempFolder(t);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return root;
}

test('Docker’s name is that of its state file, without the slash', (t) => {
  const root = hostWith(t, { [DOCKER]: { ID, Name: '/web', Config: { Labels: { a: 'b' } } } });
  const named = { name: 'web', runtime: 'docker', source: 'docker state file' };
  for (const runtime of ['docker', 'kubernetes', 'oci', 'github-actions'] as const)
    assert.deepEqual(lookUpName(identity(runtime), root), named);
  assert.equal(lookUpName(identity('docker', 'cd'.repeat(32)), root), undefined);
});

test('a container of a pod is named by namespace, pod and container', (t) => {
  const cri = {
    'io.kubernetes.cri.sandbox-namespace': 'shop',
    'io.kubernetes.cri.sandbox-name': 'cart-7d9f',
    'io.kubernetes.cri.container-name': 'app',
    'io.kubernetes.cri.sandbox-uid': UID,
  };
  const dockershim = {
    'io.kubernetes.pod.namespace': 'shop',
    'io.kubernetes.pod.name': 'cart-7d9f',
    'io.kubernetes.container.name': 'app',
    'io.kubernetes.pod.uid': UID,
  };
  const manager = { 'io.container.manager': 'cri-o' };
  for (const [runtime, source, path, content] of [
    ['containerd', 'containerd bundle', `${TASKS}/k8s.io/${ID}/config.json`, { annotations: cri }],
    ['cri-o', 'cri-o bundle', CRIO, { annotations: { ...dockershim, ...manager } }],
    ['docker', 'docker state file', DOCKER, { ID, Name: '/k8s_app', Config: { Labels: dockershim } }],
  ] as const) {
    const root = hostWith(t, { [path]: content });
    const named = { name: 'shop/cart-7d9f/app', pod: UID, runtime, source };
    assert.deepEqual(lookUpName(identity(runtime), root), named);
    // Where the path tells only that it is a pod’s.
    assert.deepEqual(lookUpName(identity('kubernetes'), root), named);
  }
});

test('a pod’s sandbox has the name of the pod', (t) => {
  const annotations = {
    'io.kubernetes.cri.sandbox-namespace': 'shop',
    'io.kubernetes.cri.sandbox-name': 'cart-7d9f',
  };
  const root = hostWith(t, { [`${TASKS}/k8s.io/${ID}/config.json`]: { annotations } });
  assert.equal(lookUpName(identity('containerd'), root)?.name, 'shop/cart-7d9f');
});

test('containerd’s bundles are found in each of its namespaces, also in those of k3s', (t) => {
  const root = hostWith(t, {
    [`${TASKS}/other/x/config.json`]: {},
    [`${TASKS}/default/${ID}/config.json`]: { annotations: { 'nerdctl/name': 'web' } },
    'run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/redis/config.json': {},
  });
  const named = { name: 'web', runtime: 'containerd', source: 'containerd bundle' };
  assert.deepEqual(lookUpName(identity('oci'), root), named);
  assert.deepEqual(lookUpName(identity('containerd', 'redis'), root), {
    runtime: 'containerd',
    source: 'containerd bundle',
  });
});

test('Podman’s name is that of its storage, whose list has every container', (t) => {
  const volatile = 'run/containers/storage/overlay-containers/volatile-containers.json';
  for (const path of [PODMAN, volatile]) {
    const root = hostWith(t, {
      [path]: [
        { id: 'x', names: ['no'] },
        { id: ID, names: ['db', 'alias'] },
      ],
    });
    assert.deepEqual(lookUpName(identity('podman'), root), { name: 'db', source: 'podman state file' });
  }
  // Podman’s own bundles are where CRI-O’s are.
  const root = hostWith(t, { [CRIO]: { annotations: { 'io.container.manager': 'libpod' } } });
  assert.equal(lookUpName(identity('cri-o'), root), undefined);
});

test('who has the folder of an LXC container runs it', (t) => {
  for (const [runtime, folder] of [
    ['incus', 'var/lib/incus/containers'],
    ['lxd', 'var/snap/lxd/common/lxd/containers'],
    ['lxd', 'var/lib/lxd/containers'],
    ['lxc', 'var/lib/lxc'],
  ] as const) {
    const root = hostWith(t, { [`${folder}/web/config`]: '' });
    assert.deepEqual(lookUpName(identity('lxc', 'web'), root), {
      name: 'web',
      runtime,
      source: 'lxc folder',
    });
    assert.equal(lookUpName(identity('lxc', 'other'), root), undefined);
  }
  // LXD and Incus link to the folder of a storage pool.
  const root = hostWith(t, { 'var/lib/incus/containers/x': '' });
  symlinkSync('/nowhere', join(root, 'var/lib/incus/containers/web'));
  assert.equal(lookUpName(identity('lxc', 'web'), root)?.runtime, 'incus');
});

test('systemd’s file of a machine says what runs it', (t) => {
  const root = hostWith(t, {
    'run/systemd/machines/web': '# private\nNAME=web\nSERVICE=libvirt-lxc\n',
    'run/systemd/machines/old': 'NAME=old\n',
  });
  const source = 'machine state file';
  assert.deepEqual(lookUpName(identity('nspawn', 'web'), root), { name: 'web', runtime: 'libvirt', source });
  assert.deepEqual(lookUpName(identity('nspawn', 'old'), root), { name: 'old', source });
});

test('an id that whoever is inside could have chosen borrows no name', (t) => {
  const root = hostWith(t, { [DOCKER]: { ID, Name: '/web' } });
  const borrowed: CgroupIdentity = { ...identity('docker'), confidence: 'low', delegated: true };
  assert.equal(lookUpName(borrowed, root), undefined);
});

test('no id leads out of the folder', (t) => {
  const root = hostWith(t, { 'var/lib/lxc/web': '', 'run/systemd/machines/x': '', 'run/systemd/secret': '' });
  for (const id of ['..', '.', '../lxc', 'web/../web', 'a\0b', '']) {
    assert.equal(lookUpName(identity('lxc', id), root), undefined, JSON.stringify(id));
    assert.equal(lookUpName(identity('nspawn', id), root), undefined, JSON.stringify(id));
    assert.equal(lookUpName(identity('containerd', id), root), undefined, JSON.stringify(id));
  }
});

test('a file that is torn, of another shape, or none, is no name and no error', (t) => {
  const contents = [
    '',
    '{',
    'null',
    '3',
    '[]',
    '{"ID":',
    { ID },
    { ID, Name: 7 },
    { ID: 'other', Name: '/web' },
    { ID, Name: '', Config: null },
    { ID, Config: { Labels: [] } },
    JSON.stringify({ ID, __proto__: { Name: '/x' } }),
    '\u0000\ufffd',
  ];
  for (const content of contents) {
    const root = hostWith(t, {
      [DOCKER]: content,
      [PODMAN]: content,
      [CRIO]: content,
      [`${TASKS}/k8s.io/${ID}/config.json`]: content,
      'run/systemd/machines/web': typeof content === 'string' ? content : '',
    });
    for (const runtime of ['docker', 'podman', 'containerd', 'cri-o', 'kubernetes', 'oci'] as const)
      assert.equal(lookUpName(identity(runtime), root)?.name, undefined, JSON.stringify(content));
    lookUpName(identity('nspawn', 'web'), root);
  }
});

test('only regular files of bounded size are read, and none makes the agent wait', (t) => {
  const root = hostWith(t, { 'elsewhere.json': { ID, Name: '/stolen' } });
  const path = join(root, DOCKER);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(join(root, 'elsewhere.json'), path);
  assert.equal(lookUpName(identity('docker'), root), undefined);

  const fifo = hostWith(t, { [`${dirname(DOCKER)}/x`]: '' });
  execFileSync('mkfifo', [join(fifo, DOCKER)]);
  assert.equal(lookUpName(identity('docker'), fifo), undefined);

  const large = hostWith(t, { [DOCKER]: JSON.stringify({ ID, Name: '/web' }) });
  assert.equal(lookUpName(identity('docker'), large)?.name, 'web');
  truncateSync(join(large, DOCKER), (1 << 20) + 1);
  assert.equal(lookUpName(identity('docker'), large), undefined);

  const folder = hostWith(t, { [`${DOCKER}/x`]: '' });
  assert.equal(lookUpName(identity('docker'), folder), undefined);
});

test('a long name is cut', (t) => {
  const root = hostWith(t, { [DOCKER]: { ID, Name: `/${'n'.repeat(100_000)}` } });
  assert.ok((lookUpName(identity('docker'), root)?.name?.length ?? 0) <= 512);
});
