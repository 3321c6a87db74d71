/** What the host does with devices of containers is counted: every call, whosever container it is, and nobody else's calls. */
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type AgentProcess, agentEnvironment, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { settleAggregates } from '../support/flood.js';
import { tempImage } from '../support/image.js';
import { openRootfulContainer } from '../support/rootful-container.js';
import { command, host, openContainer } from '../support/shell.js';

const CALLS = 3000;

/** LOOP_GET_STATUS64, so often. */
const look = (device: string, calls = 1): string =>
  `python3 -c 'import fcntl, os
node = os.open("${device}", os.O_RDONLY)
for call in range(${calls}): fcntl.ioctl(node, 0x4C05, bytearray(232))'`;

async function attachBy(t: TestContext, run: (script: string) => Promise<string>): Promise<string> {
  const device = (await run(`losetup -f --show ${tempImage(t)}`)).trim();
  defer(t, () => command('losetup', ['-d', device]));
  return device;
}

async function accessesOf(agent: AgentProcess): Promise<{ ioctl: number; uevent: number }> {
  await settleAggregates(agent);
  const metrics = await agent.metrics();
  const of = (by: string): number => metrics.get(`loopwarden_host_accesses_total{by="${by}"}`) ?? 0;
  return { ioctl: of('ioctl'), uevent: of('uevent') };
}

test('the host’s calls past its budget count too, and the device’s story tells of them', async (t) => {
  const agent = await startAgent(t, agentEnvironment(t, { LOOPWARDEN_LIMITS_RECORDS_PER_SECOND: '10' }));
  const box = await openContainer();
  defer(t, () => box.leave());
  const device = await attachBy(t, box.run);
  const own = await attachBy(t, host);
  const before = (await accessesOf(agent)).ioctl;
  await host(look(device, CALLS));
  assert.equal((await accessesOf(agent)).ioctl - before, CALLS);
  await host(look(own, CALLS));
  await box.run(look(device, CALLS));
  assert.equal((await accessesOf(agent)).ioctl - before, CALLS);

  const counted = agent.audit().filter(({ kind }) => kind === 'aggregate');
  assert.ok(counted.length > 0);
  for (const { aggregate, device: named } of counted)
    assert.deepEqual([aggregate.devices, [device, own].includes(`/dev/${named.name}`)], ['one', true]);
  const { story } = await agent.json('explain', device);
  const told = story.map(({ words }: { words: string }) => words).join('\n');
  assert.match(
    told,
    /\d+ calls of LOOP_GET_STATUS64 \(ok\) were counted instead of recorded, the first by python3 \(pid \d+, uid 0\)/,
  );
});

test('the host at a rootful container’s device counts, that container at its own does not', async (t) => {
  const agent = await startAgent(t, agentEnvironment(t, { LOOPWARDEN_HIDE_SCOPE: 'container' }));
  const box = await openRootfulContainer(t);
  const device = await attachBy(t, box.run);
  const before = await accessesOf(agent);
  await box.run(look(device, CALLS));
  await box.run(`echo change > /sys/block/${basename(device)}/uevent`);
  assert.deepEqual(await accessesOf(agent), before);
  await host(look(device));
  await host(`echo change > /sys/block/${basename(device)}/uevent`);
  assert.deepEqual(await accessesOf(agent), { ioctl: before.ioctl + 1, uevent: before.uevent + 1 });
});
