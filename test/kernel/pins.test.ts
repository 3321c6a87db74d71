/** What is pinned outlives the agent; what is not its own it does not touch; what it leaves, `uninstall` takes away. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { STATE_HASH } from '../../src/kernel/abi.js';
import { loadNative } from '../../src/kernel/native.js';
import { LINK_PROBE_OBJECT, PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { loadPrograms } from '../../src/kernel/programs.js';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { ask as httpGet } from '../support/http-get.js';
import { tempImage } from '../support/image.js';
import { startReceiver } from '../support/receiver.js';
import { command, container, host } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { useVariant } from '../support/variant.js';
import { eventually } from '../support/wait.js';

const MAIN = join(PACKAGE_ROOT, 'dist/main.js');
const pinsOf = (env: NodeJS.ProcessEnv): string => env.LOOPWARDEN_PINS_PATH ?? '';

test('records while no agent runs, and the next one reads it out', async (t) => {
  const image = tempImage(t);
  const environment = agentEnvironment(t);
  const first = await startAgent(t, environment);
  await first.stop('SIGKILL');
  await container(`for i in 1 2 3; do d=$(losetup -f --show ${image}); losetup -d $d; done`);

  const second = await startAgent(t, environment);
  await second.settle();
  const done = second.audit().filter((line) => line.kind === 'ioctl' && line.caller.comm === 'losetup');
  assert.deepEqual(
    done.map(({ command: name, result }) => `${name} ${result}`),
    [1, 2, 3].flatMap(() => ['LOOP_CTL_GET_FREE ok', 'LOOP_CONFIGURE ok', 'LOOP_CLR_FD ok']),
  );
  const metrics = await second.metrics();
  assert.equal(
    metrics.get('loopwarden_records_total{state="produced"}'),
    metrics.get('loopwarden_records_total{state="delivered"}'),
  );
});

test('a gap is in the log before the records that it tells of are gone', async (t) => {
  const image = tempImage(t);
  const environment = agentEnvironment(t);
  const variant = await useVariant(t);
  let agent = await startAgent(t, environment);
  const versions = [variant, undefined, variant, undefined, variant, undefined];
  for (const main of versions) {
    await agent.stop('SIGKILL');
    await host(`d=$(losetup -f --show ${image}); losetup -d $d`);
    agent = await startAgent(t, environment, main);
  }
  await agent.stop('SIGKILL');
  const gaps = agent.audit().filter(({ command: name }) => name === 'gap');
  assert.equal(gaps.length, versions.length);
  // Found free, attached, detached.
  for (const { gap } of gaps) assert.ok(gap.records >= 3, `${gap.records} records`);
});

test('hides from a socket that is opened after the agent has died, where the kernel’s own hook filters', async (t) => {
  const image = tempImage(t);
  const environment = agentEnvironment(t);
  const agent = await startAgent(t, environment);
  const { hooks } = await agent.json('doctor');
  const delivery = hooks.find(({ hook }: { hook: string }) => hook === 'uevent_delivery').link;
  await agent.stop('SIGKILL');
  const late = await startReceiver(t);
  await container(`d=$(losetup -f --show ${image}); losetup -d $d`);
  await late.catchUp();
  if (delivery === 'socket_filter') assert.ok(late.loopEvents() > 0, 'this kernel can do no better');
  else assert.equal(late.loopEvents(), 0);
});

test('refuses a pin that is a stranger’s, and the state of an incompatible version, and touches neither', async (t) => {
  const native = loadNative();
  const other = loadPrograms(native, { programs: [], reuse: new Map(), sizes: {} });
  for (const [folder, name] of [
    [`state-${STATE_HASH.toString(16).padStart(16, '0')}`, 'userns'],
    ['state-0123456789abcdef', 'owners'],
  ] as const) {
    const environment = agentEnvironment(t);
    const place = join(pinsOf(environment.env), folder);
    mkdirSync(place, { recursive: true });
    const path = join(place, name);
    // A ring is no hash; that of owners would be set aside (owner-recovery.test.ts).
    other.map('receiver_events').pin(path);
    const { code, stderr } = await command(process.execPath, [MAIN, 'run'], environment.env);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^loopwarden: cannot use the pin .*\n$/);
    assert.ok(existsSync(path));
    assert.deepEqual(readdirSync(pinsOf(environment.env)), [folder]);
    await command(process.execPath, [MAIN, 'uninstall'], environment.env);
    assert.ok(!existsSync(pinsOf(environment.env)));
  }
  other.close();
});

test('goes on when bpffs is unmounted beneath it, and says that nothing would outlive it', async (t) => {
  const image = tempImage(t);
  const mount = join(tempFolder(t), 'bpf');
  mkdirSync(mount);
  await host(`mount -t bpf bpf ${mount}`);
  defer(t, () => host(`umount ${mount} 2>/dev/null || true`).then(() => {}));
  const receiver = await startReceiver(t);
  const agent = await startAgent(t, agentEnvironment(t, { LOOPWARDEN_PINS_PATH: `${mount}/loopwarden` }));
  await host(`umount -l ${mount}`);
  await eventually('it is not ready', async () => (await httpGet(`${agent.url}/readyz`)).status === 503);
  assert.match((await httpGet(`${agent.url}/readyz`)).body, /pins are gone/);
  await container(`d=$(losetup -f --show ${image}); losetup -d $d`);
  await receiver.catchUp();
  assert.equal(receiver.loopEvents(), 0);
  await agent.settle();
  assert.ok(agent.audit().some((line) => line.command === 'LOOP_CONFIGURE'));
  await host(`mount -t bpf bpf ${mount}`);
});

test('uninstall takes every link, filter and pin away, and nothing of the agent is loaded any more', async (t) => {
  const environment = agentEnvironment(t);
  const agent = await startAgent(t, environment);
  await startReceiver(t);
  await agent.stop();
  const native = loadNative();
  const links = join(pinsOf(environment.env), 'gates-1/links');
  const ids = readdirSync(links).map((name) => {
    const link = native.openPinnedLink(join(links, name));
    const id = link.programId;
    link.close();
    return id;
  });
  assert.ok(ids.length > 0 && ids.every((id) => native.programName(id) !== null));
  const { code, stdout } = await command(process.execPath, [MAIN, 'uninstall', '--json'], environment.env);
  assert.equal(code, 0);
  assert.equal(JSON.parse(stdout).links, ids.length);
  assert.deepEqual(
    ids.map((id) => native.programName(id)),
    ids.map(() => null),
  );
  assert.ok(!existsSync(pinsOf(environment.env)));
  // A probe of every kind may be loaded again: nothing holds a place.
  native.openObject(LINK_PROBE_OBJECT).close();
});
