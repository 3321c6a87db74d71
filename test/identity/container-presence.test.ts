import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Container } from '../../src/identity/container.js';
import { cgroupOfContainer, createContainerPresence } from '../../src/identity/container-presence.js';
import type { MountEntry } from '../../src/kernel/mountinfo.js';
import { WEB } from '../event-fixture.js';
import { tempFolder } from '../support/temp-folder.js';

const hierarchy = (point: string, type = 'cgroup2', root = '/', devno = point): MountEntry => ({
  id: '1',
  parent: '0',
  devno,
  root,
  point,
  type,
  source: 'cgroup',
  options: 'rw',
});

const within = (container: Container, ...below: string[]): Container => ({
  ...container,
  cgroup: [container.cgroup, ...below].join('/'),
});

test('a container is gone when its cgroup is in no hierarchy any more, not when one below it ends', (t) => {
  const folder = tempFolder(t);
  const points = ['memory', 'unified'].map((name) => join(folder, name));
  const isGone = createContainerPresence(points.map((point) => hierarchy(point)));
  for (const point of points) mkdirSync(join(point, WEB.cgroup), { recursive: true });
  const service = within(WEB, 'system.slice', 'mount.service');
  assert.deepEqual([isGone(WEB), isGone(service)], [false, false]);
  rmdirSync(join(points[0] ?? '', WEB.cgroup));
  assert.equal(isGone(WEB), false, 'one hierarchy still has it');
  rmdirSync(join(points[1] ?? '', WEB.cgroup));
  assert.deepEqual([isGone(WEB), isGone(service)], [true, true]);
});

test('nothing is called gone that cannot be told', (t) => {
  const isGone = createContainerPresence([hierarchy(tempFolder(t))]);
  assert.equal(isGone(WEB), true);
  for (const container of [
    { ...WEB, runtime: 'systemd' as const, id: 'cron.service', cgroup: '/system.slice/cron.service' },
    { ...WEB, cgroup: '' },
    { ...WEB, cgroup: `/../../docker/${WEB.id}` },
    { ...WEB, cgroup: '/some/where/else' },
    { ...WEB, id: '' },
  ])
    assert.equal(isGone(container), false, JSON.stringify(container));
  assert.equal(createContainerPresence([])(WEB), false, 'without a hierarchy');
  const partial = hierarchy(tempFolder(t), 'cgroup2', '/docker');
  assert.equal(createContainerPresence([partial])(WEB), false, 'part of a hierarchy');
});

test('in a cgroup namespace it is looked for where the host has mounted them, not where only our own are', (t) => {
  const [own, hosts] = [tempFolder(t), tempFolder(t)];
  const isGone = createContainerPresence([
    hierarchy(own, 'cgroup2', '/', '0:29'),
    hierarchy(hosts, 'cgroup2', '/../../..', '0:29'),
  ]);
  mkdirSync(join(hosts, WEB.cgroup), { recursive: true });
  assert.equal(isGone(WEB), false);
  rmdirSync(join(hosts, WEB.cgroup));
  assert.equal(isGone(WEB), true);
});

test('the container’s own cgroup is the outermost that has its id', () => {
  const scope = { ...WEB, cgroup: `/system.slice/docker-${WEB.id}.scope/init.scope` };
  assert.equal(cgroupOfContainer(scope), `/system.slice/docker-${WEB.id}.scope`);
  const lxc: Container = {
    ...WEB,
    runtime: 'lxc',
    id: 'ci',
    cgroup: '/lxc.payload.ci/system.slice/x.service',
  };
  assert.equal(cgroupOfContainer(lxc), '/lxc.payload.ci');
});
