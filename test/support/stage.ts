/**
 * What stands around an attack of test/bypass: an agent, a listener as the host's udev is one, and a device of the
 * host's, whose events must arrive whatever the attacker does.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { after, type TestContext } from 'node:test';
import { type AgentProcess, type AuditLine, agentEnvironment, startAgent } from './agent-process.js';
import { createScope, defer } from './defer.js';
import { tempImage } from './image.js';
import { ioctls, LOOP_CTL_ADD } from './ioctl.js';
import { startMonitor, type Uevent } from './monitor.js';
import { removeDevice } from './remove-device.js';
import { command, host } from './shell.js';
import { startUdevd } from './udevd.js';
import { eventually } from './wait.js';

/** The host's own. */
const WITNESS = 35_000;
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

interface Standing {
  words: string;
  agent: AgentProcess;
  end(): Promise<void>;
}

/** The last stage's agent, for those after it that ask for the same one: emulated machines take longer to start it than for most attacks. */
let standing: Standing | undefined;
const endStanding = async (): Promise<void> => {
  const ending = standing;
  standing = undefined;
  await ending?.end();
};
after(endStanding);

async function standingAgent(env: NodeJS.ProcessEnv): Promise<AgentProcess> {
  const words = JSON.stringify(env);
  if (standing?.words === words && standing.agent.isRunning()) return standing.agent;
  await endStanding();
  const { scope, end } = createScope();
  try {
    const agent = await startAgent(scope, agentEnvironment(scope, env));
    standing = { words, agent, end };
    return agent;
  } catch (error) {
    await end();
    throw error;
  }
}

async function ownAgent(t: TestContext, env: NodeJS.ProcessEnv): Promise<AgentProcess> {
  await endStanding();
  return startAgent(t, agentEnvironment(t, env));
}

export async function setStage(
  t: TestContext,
  { udevd = false, env = {}, own = false }: StageOptions = {},
): Promise<Stage> {
  const running = own ? await ownAgent(t, env) : await standingAgent(env);
  defer(t, () => assert.ok(running.isRunning(), `the agent has ended: ${running.log()}`));
  if (udevd) {
    await startUdevd(t);
    // From here on the filter is on its socket.
    await running.ask('receivers');
  }
  await running.settle();
  const linesBefore = running.audit().length;
  const agent: AgentProcess = { ...running, audit: () => running.audit().slice(linesBefore) };
  const image = tempImage(t);
  const device = (number: number): string => {
    const path = `/dev/loop${number}`;
    defer(t, async () => {
      await command('losetup', ['-d', path]);
      await removeDevice(number);
    });
    return path;
  };
  const witness = basename(device(WITNESS));
  await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, WITNESS]]));
  const monitor = await startMonitor(t);
  const heard = (): string[] => monitor.loopEvents().map(words);
  const isWitness = (event: string): boolean =>
    event.endsWith(` ${witness}`) || event.endsWith(`:${WITNESS}`);
  return {
    agent,
    image,
    device,
    async ioctls(of) {
      await agent.settle();
      return agent
        .audit()
        .filter((line) => line.kind === 'ioctl' && (of === undefined || `/dev/${line.device?.name}` === of));
    },
    async hostHears(about) {
      const before = heard().filter(isWitness).length;
      writeFileSync(`/sys/block/${witness}/uevent`, 'change');
      await eventually('the host hears of its own device', () => heard().filter(isWitness).length > before);
      return about
        ? monitor
            .events()
            .filter(({ DEVPATH = '' }) => about.test(DEVPATH))
            .map(words)
        : heard().filter((event) => !isWitness(event));
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
