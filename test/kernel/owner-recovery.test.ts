/** A pinned owner map that is not to be believed is set aside, and no device of a container is shown for it. */
import assert from 'node:assert/strict';
import { readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { devnoOf, LOOP_MAJOR } from '../../src/devices/devno.js';
import { devnoKey, readOwners } from '../../src/devices/owners.js';
import { readLoop } from '../../src/devices/sysfs.js';
import { STATE_HASH, writeOwnerEntry } from '../../src/kernel/abi.js';
import { hasLoopDriver, readKernelBtf } from '../../src/kernel/kernel-btf.js';
import { type BpfMap, loadNative } from '../../src/kernel/native.js';
import { type LoadedPrograms, loadPrograms } from '../../src/kernel/programs.js';
import { INITIAL, NOBODY } from '../event-fixture.js';
import {
  type AgentEnvironment,
  type AgentProcess,
  agentEnvironment,
  startAgent,
} from '../support/agent-process.js';
import { loadAsUnit, startAsUnit } from '../support/agent-unit.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { startMonitor } from '../support/monitor.js';
import { command, host, openContainer } from '../support/shell.js';

const native = loadNative();
const GARBAGE = 0x5eed_5eed_5eedn;
const quarantineOf = async (agent: AgentProcess) => {
  await agent.settle();
  return agent.audit().filter((line) => line.command === 'quarantine');
};

/** A device of a container's, one of the host's, and the agent that knew them killed. */
async function setScene(t: TestContext) {
  const environment = agentEnvironment(t);
  const root = environment.env.LOOPWARDEN_PINS_PATH ?? '';
  const first = await startAgent(t, environment);
  const container = await openContainer();
  defer(t, () => container.leave());
  const attach = async (run: (script: string) => Promise<string>) => {
    const path = (await run(`losetup -f --show ${tempImage(t)}`)).trim();
    defer(t, () => command('losetup', ['-d', path]));
    return basename(path);
  };
  const [owned, hosts] = [await attach(container.run), await attach(host)];
  await first.settle();
  await first.stop('SIGKILL');
  const monitor = await startMonitor(t);
  const aside = join(root, 'quarantine');
  return {
    environment,
    owned,
    hosts,
    inum: Number(await host(`stat -L -c %i /proc/${container.pid}/ns/user`)),
    pin: join(root, `state-${STATE_HASH.toString(16).padStart(16, '0')}`, 'owners'),
    again: join(root, 'gates-1', 'owners'),
    aside,
    /** Of a pin that is another map's. */
    quarantined: { map: 'owners', fault: 'shape', pin: join(aside, 'owners-1'), kept: 0, lost: 0 },
    /** Names in the events that the host got of a `change` of both, the host's last. */
    async hears(): Promise<string[]> {
      const before = monitor.loopEvents().length;
      for (const name of [owned, hosts]) writeFileSync(`/sys/block/${name}/uevent`, 'change');
      await monitor.catchUp();
      return monitor
        .loopEvents()
        .slice(before)
        .map(({ DEVPATH = '' }) => basename(DEVPATH));
    },
  };
}

/** The maps of programs that nobody has loaded. */
function strangers(t: TestContext): LoadedPrograms {
  const strange = loadPrograms(native, { programs: [], reuse: new Map(), sizes: {} });
  defer(t, () => strange.close());
  return strange;
}

function openOwners(t: TestContext, pin: string): BpfMap {
  const map = native.openPinnedMap(pin);
  defer(t, () => map.close());
  return map;
}

const SET_ASIDE = /cannot be believed: it is set aside/;
const tells = (agent: AgentProcess): AgentProcess => {
  assert.match(agent.log(), SET_ASIDE);
  return agent;
};

/** A load that may not ask for a program by its id. */
const withoutAsking = (t: TestContext, environment: AgentEnvironment): Promise<AgentProcess> =>
  startAgent(t, environment, undefined, ['setpriv', '--bounding-set', '-sys_admin']);
const skipWithoutAsking =
  !readKernelBtf(native, hasLoopDriver) &&
  'the loop driver is a module: a load has CAP_SYS_ADMIN there anyway';

const STARTS = [
  {
    how: 'by whoever may ask for them',
    start: async (t: TestContext, environment: AgentEnvironment) => tells(await startAgent(t, environment)),
    skip: false,
  },
  {
    how: 'as its unit does',
    async start(t: TestContext, environment: AgentEnvironment): Promise<AgentProcess> {
      const { code, stderr } = await loadAsUnit(environment);
      assert.equal(code, 0, stderr);
      assert.match(stderr, SET_ASIDE);
      return startAsUnit(t, environment);
    },
    skip: false,
  },
  {
    how: 'by the pin beside the gates',
    start: async (t: TestContext, environment: AgentEnvironment) =>
      tells(await withoutAsking(t, environment)),
    skip: skipWithoutAsking,
  },
];

for (const { how, start, skip } of STARTS)
  test(`where another map is in its place, the one that the acting programs use is taken (${how}), and nothing is lost`, {
    skip,
  }, async (t) => {
    const { environment, owned, hosts, inum, pin, aside, hears, quarantined } = await setScene(t);
    unlinkSync(pin);
    // A ring is no hash of owners.
    strangers(t).map('receiver_events').pin(pin);

    const agent = await start(t, environment);
    assert.deepEqual(await hears(), [hosts]);
    assert.deepEqual(readdirSync(aside), ['owners-1']);
    const [{ quarantine }] = await quarantineOf(agent);
    assert.deepEqual(quarantine, quarantined);
    const { owner } = await agent.ask(`devices/${owned}`);
    assert.deepEqual([owner.class, owner.userns.inum], ['userns', inum]);
    // It is told once, and the right map is pinned again.
    assert.equal(await agent.stop(), 0);
    const next = await startAgent(t, environment);
    assert.equal((await quarantineOf(next)).length, 1);
    assert.deepEqual(await hears(), [hosts]);
  });

test('a map of their kind that the acting programs do not use is told from theirs', {
  skip: skipWithoutAsking,
}, async (t) => {
  const { environment, hosts, pin, hears, quarantined } = await setScene(t);
  unlinkSync(pin);
  strangers(t).map('owners').pin(pin);
  const agent = await withoutAsking(t, environment);
  assert.deepEqual(await hears(), [hosts]);
  assert.deepEqual(
    (await quarantineOf(agent)).map(({ quarantine }) => quarantine),
    [quarantined],
  );
});

test('a wrong pin beside the gates is put right, and nothing else comes of it', {
  skip: skipWithoutAsking,
}, async (t) => {
  const { environment, hosts, pin, again, hears } = await setScene(t);
  for (const name of ['owners', 'receiver_events']) {
    unlinkSync(again);
    strangers(t).map(name).pin(again);
    const agent = await withoutAsking(t, environment);
    assert.deepEqual(await hears(), [hosts]);
    assert.deepEqual(await quarantineOf(agent), []);
    assert.equal(openOwners(t, again).id, openOwners(t, pin).id);
    assert.equal(await agent.stop(), 0);
  }
});

test('entries that no program wrote are left behind, and those that can be true go on', async (t) => {
  const { environment, owned, hosts, inum, pin, aside, hears } = await setScene(t);
  const map = openOwners(t, pin);
  const kernelAddress = 0xffff_8880_0000_0000n;
  const [ownedDevno, hostsDevno] = [owned, hosts].map((name) => readLoop(name)?.devno ?? 0) as [
    number,
    number,
  ];
  const hostsEntry = readOwners(map).get(hostsDevno);
  assert.ok(hostsEntry);
  for (const [devno, more] of [
    [0, {}],
    [devnoOf(LOOP_MAJOR, 999), { creator: GARBAGE }],
    [devnoOf(LOOP_MAJOR, 998), { releasedBootNs: 1n << 62n }],
    // Whatever it says of the host's device: not that of its life.
    [hostsDevno, { ...hostsEntry, creator: GARBAGE, holder: GARBAGE, holderDiskseq: 1n }],
    [devnoOf(LOOP_MAJOR, 997), { loopAddress: kernelAddress, pendingToken: 1n << 63n }],
  ] as const)
    map.put(devnoKey(devno), writeOwnerEntry({ ...NOBODY, ...more }));
  const entries = readOwners(map).size;

  const agent = await startAgent(t, environment);
  assert.deepEqual(await hears(), [hosts]);
  const [{ quarantine }] = await quarantineOf(agent);
  assert.deepEqual([quarantine.pin, quarantine.lost], [join(aside, 'owners-1'), 5]);
  assert.equal(quarantine.kept, entries - 5);
  assert.notEqual(native.openPinnedMap(pin).id, map.id);
  const report = (name: string) => agent.ask(`devices/${name}`);
  assert.deepEqual((await report(owned)).owner.userns.inum, inum);
  assert.equal((await report(hosts)).owner.class, 'unknown');
  // The programs write into the new one; what is set aside stays as it was.
  const holderIn = (owners: BpfMap) => readOwners(owners).get(ownedDevno)?.holder;
  const before = holderIn(map);
  assert.equal(holderIn(openOwners(t, pin)), before);
  await host(`losetup -d /dev/${owned}; losetup /dev/${owned} ${tempImage(t)}`);
  assert.deepEqual([holderIn(openOwners(t, pin)), holderIn(map)], [INITIAL, before]);
});

test('a holder whom no table knows hides the device as long as the life is the one it speaks of', async (t) => {
  const { environment, owned, hosts, pin, hears } = await setScene(t);
  const map = openOwners(t, pin);
  const devno = readLoop(owned)?.devno ?? 0;
  const entry = readOwners(map).get(devno);
  assert.ok(entry);
  map.put(devnoKey(devno), writeOwnerEntry({ ...entry, holder: GARBAGE }));
  const agent = await startAgent(t, environment);
  assert.deepEqual(await hears(), [hosts]);
  assert.deepEqual(
    (await quarantineOf(agent)).map(({ quarantine }) => [quarantine.fault, quarantine.lost]),
    [['owner', 0]],
  );
});
