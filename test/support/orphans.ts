/** Containers that die and leave their loop devices, and an agent that reaps them. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { type AgentProcess, agentEnvironment, startAgent } from './agent-process.js';
import { startAttacker } from './attacker.js';
import { defer } from './defer.js';
import { tempImage } from './image.js';
import { removeDevice } from './remove-device.js';
import { command } from './shell.js';
import { eventually } from './wait.js';

export const FIRST = 36_000;
const WITNESS = FIRST + 90;
const GRACE_SECONDS = '1';

/** Words: an image, the first number, and how many; says how many it has attached. */
export const HOLD = `
enter_new_userns()
held = [add_device(number) for number in range(int(sys.argv[2]), int(sys.argv[2]) + int(sys.argv[3]))]
say([configure(device, open_file(sys.argv[1])) for device in held].count(0))
wait_for_test()`;

export const startReaper = (t: TestContext, mode: string): Promise<AgentProcess> =>
  startAgent(
    t,
    agentEnvironment(t, { LOOPWARDEN_REAP_MODE: mode, LOOPWARDEN_REAP_GRACE_SECONDS: GRACE_SECONDS }),
  );

/** Whatever becomes of it, it is gone after the test. */
export function loopDevice(t: TestContext, number: number): string {
  const path = `/dev/loop${number}`;
  defer(t, async () => {
    await command('losetup', ['-d', path]);
    await removeDevice(number);
  });
  return path;
}

export const isThere = (path: string): boolean => existsSync(path.replace('/dev/', '/sys/block/'));
export const isBound = (path: string): boolean =>
  existsSync(`${path.replace('/dev/', '/sys/block/')}/loop/backing_file`);
export const reaps = async (agent: AgentProcess, result: string): Promise<number> =>
  (await agent.metrics()).get(`loopwarden_reaps_total{result="${result}"}`) ?? -1;
export const orphans = async (agent: AgentProcess): Promise<number> =>
  (await agent.metrics()).get('loopwarden_orphans') ?? -1;

/** Until an orphan that came after all others was detached: then each of them was looked at after its grace. */
export async function outlast(t: TestContext): Promise<void> {
  const witness = loopDevice(t, WITNESS);
  const box = startAttacker(t, HOLD, tempImage(t), WITNESS, 1);
  assert.equal(await box.says(), 1);
  await box.kill();
  await eventually('the witness is detached', () => !isBound(witness), 30_000);
}
