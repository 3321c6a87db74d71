/** Other links than the best serve when they are told to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LinkKind } from '../../src/kernel/hooks.js';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { linksOf, proveHiding } from '../support/links.js';
import { KERNEL } from '../support/scale.js';
import { lockedDown } from './matrix.js';

test('the links that every kernel takes serve where the better ones are to be avoided', async (t) => {
  const avoid = 'fentry,fexit,fmod_ret,lsm,kprobe';
  const agent = await startAgent(t, agentEnvironment(t, { LOOPWARDEN_HOOKS_AVOID: avoid }));
  const { kernel } = await agent.json('doctor');
  assert.deepEqual(await linksOf(agent), lockedDown(kernel.nsId));
  await proveHiding(t, agent);
});

test('an lsm link that never runs is found out by its canary; kprobes serve where they can be pinned', async (t) => {
  const agent = await startAgent(t, agentEnvironment(t, { LOOPWARDEN_HOOKS_AVOID: 'fentry,fmod_ret' }));
  const links = await linksOf(agent);
  const { kernel } = await agent.json('doctor');
  const can = (kind: LinkKind): boolean =>
    kernel.links.find((link: { kind: LinkKind }) => link.kind === kind)?.available === true;
  assert.equal(links.uevent_delivery, can('lsm') ? 'lsm' : 'socket_filter');
  if (KERNEL !== undefined) assert.equal(links.loop_ioctl, KERNEL === '5.10' ? 'tp_btf' : 'kprobe');
  await proveHiding(t, agent);
});
