/** Every hook ends on the link it must, for this kernel. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { HOOKS, LISTENER_BODY, type LinkKind } from '../../src/kernel/hooks.js';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { type AgentProcess, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { hasDeviceMapper, mapDevice } from '../support/device-mapper.js';
import { tempImage } from '../support/image.js';
import { linksOf, proveHiding } from '../support/links.js';
import { KERNEL } from '../support/scale.js';
import { host } from '../support/shell.js';
import { linear } from '../support/stacking.js';
import { type Links, lockedDown, MATRIX } from './matrix.js';

/** Whether the kernel counts the runs of programs. */
const STATISTICS_SWITCH = '/proc/sys/kernel/bpf_stats_enabled';

const GROWTH_MAX = 1.2;
const STATISTICS = join(PACKAGE_ROOT, 'test/vm/verifier-statistics.json');

/** How often each of them has run, as the kernel counts it. */
async function countedRuns(agent: AgentProcess, programs: readonly string[]): Promise<number[]> {
  const metrics = await agent.metrics();
  return programs.map((name) => metrics.get(`loopwarden_program_runs_total{program="${name}"}`) ?? 0);
}

test('each hook ends on the link that this kernel must give it, and does its work', async (t) => {
  const agent = await startAgent(t);
  assert.deepEqual(await linksOf(agent), KERNEL === undefined ? await bestOf(agent) : expected(KERNEL));
  const counting = readFileSync(STATISTICS_SWITCH);
  writeFileSync(STATISTICS_SWITCH, '1');
  defer(t, () => writeFileSync(STATISTICS_SWITCH, counting));
  await proveHiding(t, agent);
  const links = await linksOf(agent);
  if (links.disk_stacking !== 'sysfs') await stackDisks(t);
  const attached = HOOKS.flatMap((hook) => hook.links.filter(({ kind }) => kind === links[hook.name]))
    .flatMap(({ programs }) => programs)
    // No 32-bit program runs here, and the kernel counts no run of what another program passes a call on to.
    .filter((name) => !name.startsWith('lo_compat_ioctl') && name !== LISTENER_BODY);
  for (const [at, runs] of (await countedRuns(agent, attached)).entries()) assert.ok(runs > 0, attached[at]);
  // What is attached is what is pinned: with trampolines nothing is on a system call.
  const pinned = readdirSync(`${agent.env.LOOPWARDEN_PINS_PATH}/gates-1/links`);
  assert.equal(
    pinned.some((name) => name.startsWith('syscall_')),
    links.loop_ioctl === 'tp_btf',
  );
  await t.test('no program asks the verifier for a fifth more than was recorded', (t) =>
    compareStatistics(t, agent),
  );
});

/** On a disk of the host's: what is put on what is told of every disk. */
async function stackDisks(t: TestContext): Promise<void> {
  assert.ok(await hasDeviceMapper());
  const disk = await host(`losetup -f --show ${tempImage(t)}`);
  const mapping = await mapDevice(t, 'matrix', [linear(disk)]);
  await mapping.remove();
}

function expected(kernel: string): Links {
  const lsms = readFileSync('/sys/kernel/security/lsm', 'utf8').trim().split(',');
  return { ...(MATRIX[kernel] as Links), ...(lsms.includes('bpf') && { uevent_delivery: 'lsm' }) };
}

/** With the numbers that the kernel told when this agent's programs were loaded. */
async function compareStatistics(t: TestContext, agent: AgentProcess): Promise<void> {
  const { compiler, kernels: recorded } = JSON.parse(readFileSync(STATISTICS, 'utf8')) as {
    compiler: string;
    kernels: Record<string, Record<string, number>>;
  };
  const status = await agent.ask('status');
  const programs: { name: string; verifiedInstructions: number }[] = status.programs;
  const key = KERNEL ?? 'locked down';
  const measured = Object.fromEntries(
    programs.map(({ name, verifiedInstructions }) => [name, verifiedInstructions]),
  );
  t.diagnostic(`verifier-statistics ${JSON.stringify({ [key]: measured })}`);
  // Another compiler's code is another's to count.
  const clang =
    process.env.LOOPWARDEN_TEST_CLANG ?? /clang version \d+/.exec(await host('clang --version'))?.[0];
  if (clang !== compiler) return t.diagnostic(`recorded with ${compiler}, built with ${clang}`);
  for (const [name, instructions] of Object.entries(measured)) {
    // Of two programs with one work the first is recorded.
    const limit = recorded[key]?.[name.replace('_again_', '_')];
    assert.ok(instructions <= (limit ?? 0) * GROWTH_MAX, `${name}: ${instructions}, recorded ${limit}`);
  }
}

/** On an unknown machine: trampolines if the kernel takes them, and nothing in between. */
async function bestOf(agent: AgentProcess): Promise<Links> {
  const { kernel } = await agent.json('doctor');
  const can = kernel.links.some(
    ({ kind, available }: { kind: LinkKind; available: boolean }) => kind === 'fentry' && available,
  );
  return can
    ? { ...(MATRIX.newest as Links), userns_creation: kernel.nsId ? 'ns_id' : 'fexit' }
    : lockedDown(kernel.nsId);
}
