/** Where trampolines are not to be used, kprobes tell what stands on what; where neither is, sysfs does, a moment later. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { defer } from '../support/defer.js';
import { mapDevice, skipWithoutMapper } from '../support/device-mapper.js';
import { linksOf } from '../support/links.js';
import { openRootfulContainer } from '../support/rootful-container.js';
import { KERNEL } from '../support/scale.js';
import { openContainer } from '../support/shell.js';
import { type Stage, setStage } from '../support/stage.js';
import { eventually } from '../support/wait.js';

const skip = await skipWithoutMapper();
/** Half of the time between two searches for uevent sockets (receivers.scan_interval_ms), which do not find it. */
const SOON_MS = 5000;

async function mapTheirs(t: TestContext, avoid: string): Promise<{ stage: Stage; table: string }> {
  const stage = await setStage(t, { env: { LOOPWARDEN_HOOKS_AVOID: avoid } });
  const device = stage.device(35_001);
  const box = await openContainer();
  defer(t, () => box.leave());
  await box.run(`losetup ${device} ${stage.image}`);
  return { stage, table: `0 2048 linear ${device} 0` };
}

test('kprobes tell it as early, where they can be pinned', { skip: skip || KERNEL === '5.10' }, async (t) => {
  const { stage, table } = await mapTheirs(t, 'fentry,fexit,fmod_ret,lsm');
  assert.equal((await linksOf(stage.agent)).disk_stacking, 'kprobe');
  const mapping = await mapDevice(t, 'kprobe', [table]);
  assert.equal((await stage.agent.ask(`devices/${mapping.name}`)).hidden, true);
  await mapping.remove();
  assert.deepEqual(await stage.hostHears(mapping.events), []);
});

test('sysfs tells it later: the first events reach the host, and so does the last', { skip }, async (t) => {
  const { stage, table } = await mapTheirs(t, 'fentry,fexit,fmod_ret,lsm,kprobe');
  assert.equal((await linksOf(stage.agent)).disk_stacking, 'sysfs');
  const mapping = await mapDevice(t, 'sysfs', [table]);
  const heard = async (): Promise<string[]> =>
    (await stage.hostHears(mapping.events)).filter((event) => event.endsWith(` ${mapping.name}`));
  await eventually(
    'it is found',
    async () => (await stage.agent.ask(`devices/${mapping.name}`)).hidden,
    SOON_MS,
  );
  const first = await heard();
  // How many depends on when the agent looks.
  assert.ok(first.length >= 1, first.join());
  await mapping.reload(table);
  assert.deepEqual(await heard(), first);
  await mapping.remove();
  assert.deepEqual([...new Set((await heard()).slice(first.length))], [`remove ${mapping.name}`]);
});

test('sysfs tells of what stands on a rootful container’s device, too', { skip }, async (t) => {
  const env = {
    LOOPWARDEN_HOOKS_AVOID: 'fentry,fexit,fmod_ret,lsm,kprobe',
    LOOPWARDEN_HIDE_SCOPE: 'container',
  };
  const stage = await setStage(t, { env });
  const device = stage.device(35_001);
  const box = await openRootfulContainer(t);
  await box.run(`losetup ${device} ${stage.image}`);
  const mapping = await mapDevice(t, 'rootful', [`0 2048 linear ${device} 0`]);
  const { owner } = await eventually(
    'it is found',
    async () => {
      const report = await stage.agent.ask(`devices/${mapping.name}`);
      return report.hidden && report;
    },
    SOON_MS,
  );
  assert.deepEqual([owner.class, owner.as], ['container', 'stacked']);
});
