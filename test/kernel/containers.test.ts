/** Which container it was: in the log, of each device, in the metrics, also when the container has gone. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { makeCgroup, type TestCgroup } from '../support/cgroup.js';
import { defer } from '../support/defer.js';
import { makeFolders } from '../support/folders.js';
import { tempImage } from '../support/image.js';
import { host, openContainer } from '../support/shell.js';

const newId = (): string => randomBytes(32).toString('hex');

/** As Docker leaves it on this host. Returns what removes it. */
function nameContainer(t: TestContext, id: string, name: string): () => void {
  const made = makeFolders(join('/var/lib/docker/containers', id));
  const remove = (): void => {
    const [own, ...above] = made.splice(0);
    if (own === undefined) return;
    rmSync(own, { recursive: true });
    for (const folder of above) rmdirSync(folder);
  };
  defer(t, remove);
  writeFileSync(join(made[0] ?? '', 'config.v2.json'), JSON.stringify({ ID: id, Name: `/${name}` }));
  return remove;
}

/** A script as the root of a user namespace of its own, in the cgroup. */
function runIn({ folder }: TestCgroup, script: string): Promise<string> {
  return host(`echo $$ > ${folder}/cgroup.procs; exec unshare -Ur sh -ec '${script}'`);
}

test('names the container that did it, in the log and of its device, also when it has gone', async (t) => {
  const id = newId();
  const forgetName = nameContainer(t, id, 'shop-web');
  const cgroup = makeCgroup(t, `/docker/${id}`);
  const image = tempImage(t);
  const agent = await startAgent(t);
  const device = await runIn(cgroup, `losetup -f --show ${image}`);
  await agent.settle();
  await cgroup.remove();
  forgetName();

  const container = {
    runtime: 'docker',
    id,
    name: 'shop-web',
    source: 'docker state file',
    confidence: 'high',
  };
  const [configure] = agent.audit().filter(({ command }) => command === 'LOOP_CONFIGURE');
  assert.deepEqual(configure.container, container);
  assert.equal(configure.caller.cgroup_id, Number(cgroup.id));
  const listed = (await agent.json('devices')).find(
    (each: { name: string }) => `/dev/${each.name}` === device,
  );
  assert.deepEqual(listed.container, { ...container, cgroup: cgroup.path });
  assert.deepEqual((await agent.json('explain', device)).container, listed.container);
  assert.match((await agent.cli('devices')).stdout, / docker\/shop-web /);
  assert.match(
    (await agent.cli('explain', device)).stdout,
    new RegExp(`^container +docker shop-web \\(id ${id}\\)`, 'm'),
  );
  assert.match((await agent.cli('events')).stdout, / LOOP_CONFIGURE .* docker\/shop-web /);
  const info = [...(await agent.metrics()).keys()].find((name) =>
    name.includes(`device="${device.slice(5)}"`),
  );
  assert.match(info ?? '', new RegExp(`container_id="${id}",runtime="docker"`));
});

test('every line has a container, and those of the host are no container’s', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  await host(`losetup -d $(losetup -f --show ${image})`);
  await agent.settle();
  const lines = agent.audit().filter(({ caller }) => caller !== undefined);
  assert.ok(lines.length >= 3);
  for (const { container } of lines) {
    assert.ok(['host', 'systemd', 'unknown'].includes(container.runtime), JSON.stringify(container));
    assert.ok(container.id.length > 0);
    assert.equal(container.source, 'cgroup');
  }
});

test('the next agent names it too, as long as the container lives', async (t) => {
  const id = newId();
  const cgroup = makeCgroup(t, `/machine.slice/libpod-${id}.scope`);
  const image = tempImage(t);
  const environment = agentEnvironment(t);
  const first = await startAgent(t, environment);
  const box = await openContainer();
  defer(t, () => box.leave());
  writeFileSync(join(cgroup.folder, 'cgroup.procs'), String(box.pid));
  const device = await box.run(`losetup -f --show ${image}`);
  assert.equal(await first.stop(), 0);

  const next = await startAgent(t, environment);
  const { container } = await next.json('explain', device);
  assert.deepEqual(
    [container.runtime, container.id, container.source, container.confidence],
    ['podman', id, 'namespace', 'low'],
  );
  await box.leave();
  assert.deepEqual((await next.json('explain', device)).container, container);
});
