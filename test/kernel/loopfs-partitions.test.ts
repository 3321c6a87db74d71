/** `losetup -P` in a container, where the kernel reads partition tables, with the real systemd-udevd on the host. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { startAgent } from '../support/agent-process.js';
import { startLoopfsHost } from '../support/loopfs-serve.js';
import { startMonitor } from '../support/monitor.js';
import { readsTables, type Table, tableCommand, writeTable } from '../support/partition-table.js';
import { type PlacedContainer, startPlacedContainer } from '../support/placed-container.js';
import { host } from '../support/shell.js';
import { startUdevd, udevDatabase } from '../support/udevd.js';
import { eventually } from '../support/wait.js';

const FIRST = 22_000;
const HELPER = join(PACKAGE_ROOT, `prebuilds/linux-${process.arch}/loopwarden-rescan`);
const skip = readsTables() ? false : 'this kernel was built without partition tables';
const nodesUpTo = (count: number): string[] => [
  'loop-control',
  `loop${FIRST}`,
  ...Array.from({ length: count }, (_, at) => `loop${FIRST}p${at + 1}`),
];

async function listNames(container: PlacedContainer): Promise<string[]> {
  return (await container.run('ls /dev | grep loop | grep -v loopfs')).split('\n');
}

for (const table of ['gpt', 'mbr'] as const) {
  test(
    `losetup -P on an image with a ${table} table: nodes at once, and not a word to the host’s udev`,
    {
      skip,
    },
    (t) => usePartitions(t, table),
  );
}

async function usePartitions(t: TestContext, table: Table): Promise<void> {
  const agent = await startAgent(t);
  const serving = await startLoopfsHost(t, FIRST, {
    LOOPWARDEN_LOOPFS_NEEDS_AGENT: 'true',
    LOOPWARDEN_API_SOCKET: agent.env.LOOPWARDEN_API_SOCKET ?? '',
  });
  await startUdevd(t);
  const monitor = await startMonitor(t);
  await agent.ask('receivers');
  const known = udevDatabase();
  const one = await startPlacedContainer(t, serving, 'one');
  const image = one.image(16 << 20);
  writeTable(image, table, [2, 4]);

  const listed = await one.run(`losetup -P -f --show ${image}; ls /dev/loopfs`);
  const device = `/dev/loop${FIRST}`;
  assert.deepEqual(listed.split('\n'), [device, ...nodesUpTo(2)]);
  await eventually('the partitions have names', async () => (await listNames(one)).length === 4);
  assert.deepEqual(await listNames(one), nodesUpTo(2));
  assert.equal(await one.run(`blockdev --getsize64 ${device}p1 ${device}p2`), `${2 << 20}\n${4 << 20}`);
  await one.run(`mkfs.ext4 -q ${device}p2; blkid -o value -s TYPE ${device}p2 | grep -qx ext4`);

  await one.run(tableCommand(device, table, [2, 2, 2]));
  assert.equal((await one.run('ls /dev/loopfs')).split('\n').length, 4);
  const refused = await one.try(`exec 3<${device}p1; ${HELPER} ${device}`);
  assert.deepEqual([refused.code, /in use/.test(refused.stderr)], [1, true]);
  const anew = await one.run(`${HELPER} ${device}; ls /dev/loopfs; ls /dev | grep loop | grep -v loopfs`);
  assert.deepEqual(anew.split('\n'), [...nodesUpTo(3), ...nodesUpTo(3)]);
  assert.equal(await one.run(`blockdev --getsize64 ${device}p2`), String(2 << 20));

  assert.deepEqual((await one.run(`losetup -d ${device}; ls /dev/loopfs`)).split('\n'), nodesUpTo(0));
  await eventually('their names go', async () => (await listNames(one)).length === 2);
  await host('udevadm settle');
  await monitor.catchUp();
  assert.deepEqual(monitor.loopEvents(), []);
  assert.deepEqual(udevDatabase(), known);
}
