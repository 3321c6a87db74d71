/**
 * What stands around an attack of test/bypass: an agent, a listener as the host's udev is one, and a device of the
 * host's, whose events must arrive whatever the attacker does.
 */
import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { TestContext } from 'node:test';
import {
  type AgentEnvironment,
  type AgentProcess,
  type AuditLine,
  agentEnvironment,
  environmentIn,
  startAgent,
} from './agent-process.js';
import { defer } from './defer.js';
import { tempImage } from './image.js';
import { ioctls, LOOP_CTL_ADD } from './ioctl.js';
import { startMonitor, type Uevent } from './monitor.js';
import { removeDevice } from './remove-device.js';
import { command, host } from './shell.js';
import { tempFolder } from './temp-folder.js';
import { startUdevd } from './udevd.js';
import { eventually } from './wait.js';

/** The host's own. */
const WITNESS = 35_000;
/**
 * For emulated machines, where loading programs takes longer than most tests: one stage leaves its pinned programs to the next, as
 * an agent does that is started again. Nothing else is left: a stage takes its devices away.
 */
const SHARED_PINS = process.env.LOOPWARDEN_TEST_STAGE_PINS;

export interface Stage {
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
  /** Of the agent, which then has programs of its own. */
  env?: NodeJS.ProcessEnv;
  /** Counters begin at 0: programs of its own. */
  own?: boolean;
}

function stageEnvironment(t: TestContext): AgentEnvironment {
  if (SHARED_PINS === undefined) return agentEnvironment(t);
  return environmentIn(tempFolder(t), { LOOPWARDEN_PINS_PATH: SHARED_PINS });
}

export async function setStage(
  t: TestContext,
  { udevd = false, env, own = env !== undefined }: StageOptions = {},
): Promise<Stage> {
  if (udevd) await startUdevd(t);
  const agent = await startAgent(t, own ? agentEnvironment(t, env) : stageEnvironment(t));
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
