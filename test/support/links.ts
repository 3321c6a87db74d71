/** What links a running agent has, and what any set of links must do. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { HookName, HookOutcome } from '../../src/kernel/hooks.js';
import type { Links } from '../kernel/matrix.js';
import type { AgentProcess } from './agent-process.js';
import { tempImage } from './image.js';
import { startReceiver } from './receiver.js';
import { container, host } from './shell.js';

/** The link that each hook has ended on. */
export async function linksOf(agent: AgentProcess): Promise<Links> {
  const status = await agent.ask('status');
  return Object.fromEntries(
    status.hooks.map(({ hook, outcomes }: { hook: HookName; outcomes: HookOutcome[] }) => {
      const last = outcomes.at(-1);
      assert.equal(last?.state, 'attached', `${hook}: ${JSON.stringify(outcomes)}`);
      return [hook, last.link];
    }),
  ) as Links;
}

/** What any set of links must do. */
export async function proveHiding(t: TestContext, agent: AgentProcess): Promise<void> {
  const receiver = await startReceiver(t);
  const image = tempImage(t);
  await agent.ask('receivers');
  await container(
    `d=$(losetup -f --show ${image}); echo x | dd of=$d conv=notrunc status=none; losetup -d $d`,
  );
  await receiver.catchUp();
  assert.equal(receiver.loopEvents(), 0);
  await host(`d=$(losetup -f --show ${image}); losetup -d $d`);
  await receiver.catchUp();
  assert.ok(receiver.loopEvents() >= 2);
  await agent.settle();
  const configured = agent.audit().filter((line) => line.command === 'LOOP_CONFIGURE');
  assert.deepEqual(
    configured.map((line) => [
      line.result,
      line.owner.after === line.caller.userns.id || line.owner.after === 3,
    ]),
    [
      ['ok', true],
      ['ok', true],
    ],
  );
  assert.ok(configured.every((line) => line.backing.path === image));
  const metrics = await agent.metrics();
  const hidden = [...metrics].filter(([name]) => /^loopwarden_uevent_deliveries_total.*"hide"/.test(name));
  assert.ok(
    hidden.some(([, count]) => count > 0),
    'no hidden delivery was counted',
  );
}
