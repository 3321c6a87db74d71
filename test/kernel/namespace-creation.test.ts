/** A user namespace that gets both the address and the number of a dead one, as Linux before 6.18 gives them, is another one. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { tempImage } from '../support/image.js';
import { withoutField } from '../support/kernel-types.js';
import { linksOf } from '../support/links.js';
import { startVisits } from '../support/namespace-visits.js';
import { loopDevice } from '../support/orphans.js';
import { KERNEL } from '../support/scale.js';

const NUMBER = 36_300;
const VISITS = 60;

/** By how many ids that many user namespaces were told, one after another, and the link that saw them made. */
async function countIds(
  t: TestContext,
  { avoid = '', within = [] as readonly string[] } = {},
): Promise<{ link: string; ids: number; inums: number; degraded: string }> {
  const image = tempImage(t);
  loopDevice(t, NUMBER);
  const agent = await startAgent(
    t,
    agentEnvironment(t, { LOOPWARDEN_HOOKS_AVOID: avoid }),
    undefined,
    within,
  );
  const visits = await startVisits(t, NUMBER, image);
  const inums = await visits.make(VISITS);
  await agent.settle();
  const attached = agent
    .audit()
    .filter(({ command, device }) => command === 'LOOP_CONFIGURE' && device.name === `loop${NUMBER}`);
  assert.deepEqual(
    attached.map(({ caller }) => caller.userns.inum),
    inums,
  );
  const ids = new Set(attached.map(({ owner }) => owner.after)).size;
  const { degraded } = await agent.json('doctor');
  const { userns_creation: link } = await linksOf(agent);
  const { programs } = await agent.ask('status');
  assert.equal(
    programs.some(({ name }: { name: string }) => /create_user_ns|setup_userns/.test(name)),
    link === 'fexit' || link === 'kprobe',
    'there is a program only where it is needed',
  );
  t.diagnostic(`${link}: ${ids} ids of ${VISITS} namespaces with ${new Set(inums).size} numbers`);
  return { link, ids, inums: new Set(inums).size, degraded: JSON.stringify(degraded) };
}

test('each of many that are made one after another has an id of its own', async (t) => {
  const { link, ids } = await countIds(t);
  if (KERNEL !== undefined) assert.equal(link, KERNEL === 'newest' ? 'ns_id' : 'fexit');
  if (link !== 'iter') assert.equal(ids, VISITS);
});

test('so has each where a kprobe sees it made, if that can be pinned', async (t) => {
  const { link, ids } = await countIds(t, { avoid: 'ns_id,fentry,fexit,fmod_ret,lsm' });
  if (KERNEL !== undefined) assert.equal(link, KERNEL === '5.10' ? 'iter' : 'kprobe');
  if (link === 'kprobe') assert.equal(ids, VISITS);
});

test('where nothing sees it made, doctor says what that means', async (t) => {
  const avoid = 'ns_id,fentry,fexit,fmod_ret,lsm,kprobe';
  const { link, degraded } = await countIds(t, { avoid, within: withoutField(t, 'ns_id') });
  assert.equal(link, 'iter');
  assert.match(degraded, /address and number of a dead one/);
});
