/** The table of user namespaces has room for who lives, however many have died. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type AgentProcess, agentEnvironment, startAgent } from '../support/agent-process.js';
import { startAttacker } from '../support/attacker.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import { withoutField } from '../support/kernel-types.js';
import { startVisits } from '../support/namespace-visits.js';
import { loopDevice } from '../support/orphans.js';
import { openRootfulContainer } from '../support/rootful-container.js';
import { host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

const NUMBER = 36_200;
/** As small as the config allows. */
const SIZE = 64;
const ENVIRONMENT = {
  LOOPWARDEN_LIMITS_USER_NAMESPACES: String(SIZE),
  LOOPWARDEN_RECEIVERS_SCAN_INTERVAL_MS: '100',
};
/** A round leaves room for itself: nothing that is noted is dropped. */
const ROUNDS = 4;
const ROUND = 20;

async function knownTo(agent: AgentProcess): Promise<number> {
  const used = (await agent.metrics()).get('loopwarden_table_entries{table="user_namespaces",state="used"}');
  assert.ok(used !== undefined);
  return used;
}

const hasRoom = (agent: AgentProcess): Promise<unknown> =>
  eventually('the dead are forgotten', async () => (await knownTo(agent)) <= SIZE / 2);

/** A container that attaches a device and waits; says its number. */
const ATTACH = `
if len(sys.argv) > 3: enter_userns_of(int(sys.argv[3]))
enter_new_userns()
say(userns() if configure(add_device(int(sys.argv[1])), open_file(sys.argv[2])) == 0 else 0)
wait_for_test()
say(configure(add_device(int(sys.argv[1]) + 1), open_file(sys.argv[2])))
wait_for_test()`;

/** More namespaces than the table has room for, one after another; `within`: words before the agent's command. */
async function outnumber(t: TestContext, within: readonly string[] = []): Promise<void> {
  const image = tempImage(t);
  for (const at of [0, 10, 11, 20, 21, 30, 31]) loopDevice(t, NUMBER + at);
  const agent = await startAgent(t, agentEnvironment(t, ENVIRONMENT), undefined, within);
  // One that dies, and leaves a device; one that lives and does nothing any more, with one below it.
  const dead = startAttacker(t, ATTACH, NUMBER + 10, image);
  const deadInum = await dead.says();
  const parent = startAttacker(t, ATTACH, NUMBER + 20, image);
  const parentInum = await parent.says();
  const child = startAttacker(t, ATTACH, NUMBER + 30, image, parent.pid);
  const childInum = await child.says();
  assert.ok(deadInum > 0 && parentInum > 0 && childInum > 0);
  const ownerOf = async (number: number) => (await agent.ask(`devices/loop${number}`)).owner.userns;
  const before = await Promise.all([10, 20, 30].map((at) => ownerOf(NUMBER + at)));
  await dead.kill();

  const visits = await startVisits(t, NUMBER, image);
  const seen: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    seen.push(...(await visits.make(ROUND)));
    await hasRoom(agent);
  }
  assert.ok(seen.every((inum) => inum > 0));

  const after = await Promise.all([10, 20, 30].map((at) => ownerOf(NUMBER + at)));
  assert.deepEqual(
    after.map(({ id, inum, level }) => [id, inum, level]),
    before.map(({ id, inum, level }) => [id, inum, level]),
  );
  assert.deepEqual(
    after.map(({ inum, level }) => [inum, level]),
    [
      [deadInum, 1],
      [parentInum, 1],
      [childInum, 2],
    ],
  );
  // Who was silent all the time is the same one still.
  for (const [box, at] of [
    [parent, 20],
    [child, 30],
  ] as const) {
    box.go();
    assert.equal(await box.says(), 0);
    assert.deepEqual(await ownerOf(NUMBER + at + 1), await ownerOf(NUMBER + at));
  }
  await agent.settle();
  const attached = agent
    .audit()
    .filter(({ command, device }) => command === 'LOOP_CONFIGURE' && device.name === `loop${NUMBER}`);
  assert.deepEqual(
    attached.map(({ caller }) => [caller.userns.inum, caller.userns.level]),
    seen.map((inum) => [inum, 1]),
  );
  for (const { caller, owner } of attached) assert.equal(owner.after, caller.userns.id);
  assert.equal((await agent.metrics()).get('loopwarden_drops_total{reason="userns_map_full"}'), 0);
}

test('more user namespaces than the table holds are known one after another, and those that matter stay', (t) =>
  outnumber(t));

test('so they are where the kernel has no ns_id', (t) => outnumber(t, withoutField(t, 'ns_id')));

test('so are rootful containers, while those count', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(
    t,
    agentEnvironment(t, { ...ENVIRONMENT, LOOPWARDEN_HIDE_SCOPE: 'container' }),
  );
  const owner = await openRootfulContainer(t);
  const left = await owner.run(`losetup -f --show ${image}`);
  defer(t, () => host(`losetup -d ${left}`));
  await owner.end();
  const cycle = `d=$(losetup -f --show ${image}); losetup -d $d`;
  const visit = (): Promise<string> => host(`unshare -m -p -f --mount-proc sh -ec '${cycle}'`);
  for (let round = 0; round < SIZE / ROUND; round++) {
    for (let visits = 0; visits < ROUND; visits++) await visit();
    await hasRoom(agent);
  }
  const { owner: shown } = await agent.ask(`devices/${left.slice('/dev/'.length)}`);
  assert.deepEqual([shown.class, shown.pidns.inum, shown.pidns.alive], ['container', owner.pidns, false]);
  assert.equal((await agent.metrics()).get('loopwarden_drops_total{reason="userns_map_full"}'), 0);
});
