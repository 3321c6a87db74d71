/**
 * What stands around an attack of test/bypass: an agent, a listener as the host's udev is one, and a device of the
 * host's, whose events must arrive whatever the attacker does.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { after, type TestContext } from 'node:test';
import { loadNative } from '../../src/kernel/native.js';
import { type AgentProcess, type AuditLine, agentEnvironment, startAgent } from './agent-process.js';
import { createScope, defer, type Scope } from './defer.js';
import { tempImage } from './image.js';
import { LOOP_CTL_ADD } from './ioctl.js';
import { LOOP_PATH, type Monitor, startMonitor, type Uevent } from './monitor.js';
import { removeDevice } from './remove-device.js';
import { command, host } from './shell.js';
import { startUdevd } from './udevd.js';
import { eventually } from './wait.js';

/** The host's own, which none of the tests uses otherwise. */
const WITNESS = 35_000;
const WITNESS_PATH = `/devices/virtual/block/loop${WITNESS}`;

export interface Stage {
  /** Its log begins with the stage. */
  agent: AgentProcess;
  /** A file to attach. */
  image: string;
  /** The path of a loop device of this number, which is detached and removed after the test, whoever makes it. */
  device(number: number): string;
  /** Every line about an ioctl so far; of one device, if it is named. */
  ioctls(device?: string): Promise<AuditLine[]>;
  /**
   * `ACTION NAME` of every uevent of a loop device, or of those `about` another, that the host got so far. Waits for one of the host's own device, which
   * is not among them: the listener is not deaf, and what was sent before has arrived.
   */
  hostHears(about?: RegExp): Promise<string[]>;
}

export interface StageOptions {
  udevd?: boolean;
  /** Of the agent. */
  env?: NodeJS.ProcessEnv;
  /** An agent of the stage's own, whose counters begin at 0. */
  own?: boolean;
}

/** What stays from one stage to the next. */
interface Standing {
  agent: AgentProcess;
  monitor: Monitor;
}

async function stand(t: Scope, env: NodeJS.ProcessEnv): Promise<Standing> {
  const agent = await startAgent(t, agentEnvironment(t, env));
  defer(t, () => removeDevice(WITNESS));
  loadNative().ioctl('/dev/loop-control', LOOP_CTL_ADD, WITNESS);
  return { agent, monitor: await startMonitor(t) };
}

/** The last stage's, for those after it that ask for the same agent: emulated machines take longer to start one than for most attacks. */
let last: { words: string; standing: Standing; end(): Promise<void> } | undefined;
const endLast = async (): Promise<void> => {
  const ending = last;
  last = undefined;
  await ending?.end();
};
after(endLast);

async function standAsLast(env: NodeJS.ProcessEnv): Promise<Standing> {
  const words = JSON.stringify(env);
  if (last?.words === words && last.standing.agent.isRunning()) return last.standing;
  await endLast();
  const { scope, end } = createScope();
  try {
    const standing = await stand(scope, env);
    last = { words, standing, end };
    return standing;
  } catch (error) {
    await end();
    throw error;
  }
}

async function standAlone(t: TestContext, env: NodeJS.ProcessEnv): Promise<Standing> {
  await endLast();
  return stand(t, env);
}

export async function setStage(
  t: TestContext,
  { udevd = false, env = {}, own = false }: StageOptions = {},
): Promise<Stage> {
  const { agent, monitor } = own ? await standAlone(t, env) : await standAsLast(env);
  defer(t, () => assert.ok(agent.isRunning(), `the agent has ended: ${agent.log()}`));
  if (udevd) {
    await startUdevd(t);
    // From here on the filter is on its socket.
    await agent.ask('receivers');
  }
  await agent.settle();
  await monitor.catchUp();
  const [linesBefore, eventsBefore] = [agent.audit().length, monitor.events().length];
  const audit = (): AuditLine[] => agent.audit().slice(linesBefore);
  const events = (): Uevent[] => monitor.events().slice(eventsBefore);
  const image = tempImage(t);
  const device = (number: number): string => {
    const path = `/dev/loop${number}`;
    defer(t, async () => {
      await command('losetup', ['-d', path]);
      await removeDevice(number);
    });
    return path;
  };
  const ofWitness = (): number => events().filter(({ DEVPATH }) => DEVPATH === WITNESS_PATH).length;
  return {
    agent: { ...agent, audit },
    image,
    device,
    async ioctls(of) {
      await agent.settle();
      return audit().filter(
        (line) => line.kind === 'ioctl' && (of === undefined || `/dev/${line.device?.name}` === of),
      );
    },
    async hostHears(about = LOOP_PATH) {
      const before = ofWitness();
      writeFileSync(`/sys${WITNESS_PATH}/uevent`, 'change');
      await eventually('the host hears of its own device', () => ofWitness() > before);
      return events()
        .filter(({ DEVPATH = '' }) => about.test(DEVPATH) && DEVPATH !== WITNESS_PATH)
        .map(words);
    },
  };
}

const words = ({ ACTION, DEVPATH = '' }: Uevent): string => `${ACTION} ${basename(DEVPATH)}`;

/** The number of a process's user namespace. */
export async function usernsOf(pid: number | 'self'): Promise<number> {
  return Number(await host(`stat -L -c %i /proc/${pid}/ns/user`));
}

/** What the log says of it: command, result, and who did it. */
export const told = ({ command: name, result, caller }: AuditLine): string =>
  `${name} ${result} by ${caller.userns.inum}`;
