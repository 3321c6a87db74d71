/** What a kernel lacks costs what needs it and no more; a start that cannot succeed says why in one line, and leaves nothing. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { tempImage } from '../support/image.js';
import { withoutField } from '../support/kernel-types.js';
import { startReceiver } from '../support/receiver.js';
import { command, container, host } from '../support/shell.js';
import { buildWithBpf } from '../support/variant.js';

test('without ns_id it tells namespaces apart by their first sight, and hides as ever', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t, agentEnvironment(t), undefined, withoutField(t, 'ns_id'));
  const receiver = await startReceiver(t);
  await agent.ask('receivers');
  for (const _ of [1, 2]) await container(`d=$(losetup -f --show ${image}); losetup -d $d`);
  await receiver.catchUp();
  assert.equal(receiver.loopEvents(), 0);
  await host(`d=$(losetup -f --show ${image}); losetup -d $d`);
  await receiver.catchUp();
  assert.ok(receiver.loopEvents() >= 2);
  await agent.settle();
  const owners = agent
    .audit()
    .filter(({ command: name }) => name === 'LOOP_CONFIGURE')
    .map(({ owner }) => owner.after);
  assert.equal(new Set(owners).size, 3);
});

test('without a field that every link needs it does not start, and names what was refused', async (t) => {
  const environment = agentEnvironment(t);
  const { code, stderr } = await run(withoutField(t, 'thread_pid'), environment.env);
  assert.equal(code, 78, stderr);
  assert.match(stderr, /^loopwarden: .*(refused the program|no link attaches).*\n$/);
  assert.ok(!existsSync(environment.env.LOOPWARDEN_PINS_PATH ?? ''));
});

test('a program that the verifier refuses on every link ends the start, and leaves nothing', async (t) => {
  const main = await buildWithBpf(t, {
    file: 'owner.bpf.h',
    from: 'static __always_inline struct owner_entry *owner_lookup(__u32 devno)\n{',
    to: 'static __always_inline struct owner_entry *owner_lookup(__u32 devno)\n{\n\tbpf_probe_read_kernel(NULL, 8, NULL);',
  });
  const environment = agentEnvironment(t);
  const { code, stderr } = await run([], environment.env, main);
  assert.equal(code, 78, stderr);
  assert.match(stderr, /^loopwarden: no link attaches to the hook \w+: .*refused the program.*\n$/);
  assert.ok(!existsSync(environment.env.LOOPWARDEN_PINS_PATH ?? ''));
});

async function run(
  within: readonly string[],
  env: NodeJS.ProcessEnv,
  main = join(PACKAGE_ROOT, 'dist/main.js'),
) {
  const [file = '', ...words] = [...within, process.execPath, main, 'run'];
  return command(file, words, env);
}
