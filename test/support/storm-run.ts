/** A storm as tests let it rage: containers and the host cycle their devices while sockets come and go. */
import type { TestContext } from 'node:test';
import type { AgentProcess, AuditLine } from './agent-process.js';
import { defer } from './defer.js';
import { tempImage } from './image.js';
import { container, host } from './shell.js';
import {
  buildStormTools,
  type Judgement,
  judgeReceivers,
  type LoopEvent,
  type LoopStormReport,
  startReceivers,
} from './storm.js';
import { SLOWNESS } from './wait.js';

const CONTAINER = { first: 600, count: 4 };
const HOST = { first: 700, count: 2 };
const isIn =
  ({ first, count }: typeof HOST) =>
  ({ number }: LoopEvent): boolean =>
    number >= first && number < first + count;

/** Cycles until `end`, `pauseUs` between two of them; then says what was done by containers and host, and what the sockets heard of it. */
export async function startStorm(t: TestContext, cyclesAtOnce: number, pauseUs = 0) {
  const { loopStorm, receiverStorm } = await buildStormTools(t);
  const receivers = await startReceivers(t, receiverStorm, 10, 60);
  const reports: LoopStormReport[] = [];
  let going = true;
  const cycle = async (run: typeof host, range: typeof HOST, times: number): Promise<void> => {
    const image = tempImage(t);
    do
      reports.push(
        JSON.parse(await run(`${loopStorm} ${range.first} ${range.count} ${times} ${image} ${pauseUs}`)),
      );
    while (going);
  };
  const both = Promise.all([
    cycle(container, CONTAINER, cyclesAtOnce),
    cycle(host, HOST, Math.ceil(cyclesAtOnce / 4)),
  ]);
  // A test that fails meanwhile must not leave them going.
  defer(t, async () => {
    going = false;
    await both.catch(() => {});
  });
  return {
    async end(): Promise<{ heard: Judgement; sockets: number; ioctls: number }> {
      going = false;
      await both;
      const heard = await receivers.stop();
      const counts = reports.flatMap(({ ioctls, failed }) =>
        [ioctls, failed].flatMap(Object.values),
      ) as number[];
      return {
        heard: judgeReceivers(heard, isIn(CONTAINER), isIn(HOST)),
        sockets: heard.length,
        ioctls: counts.reduce((sum, each) => sum + each, 0),
      };
    },
  };
}

/** On a host without trampolines a socket that is opened while the agent is there is bare for a moment: then only the witness counts. */
export async function seesEverySocket(agent: AgentProcess): Promise<boolean> {
  const { hooks } = await agent.ask('status');
  const { outcomes } = hooks.find(({ hook }: { hook: string }) => hook === 'uevent_delivery');
  return outcomes.at(-1).link !== 'socket_filter';
}

export const stormLines = (audit: AuditLine[]): AuditLine[] =>
  audit.filter((line) => line.kind === 'ioctl' && line.caller.comm === 'loop-storm');

/** Room for all that is recorded while no agent reads. */
export const ROOM = { LOOPWARDEN_RING_SIZE_BYTES: String(64 << 20) };

/**
 * For storms that go on for as long as agents need to start: an emulated machine would do nothing else, and each start take
 * minutes.
 */
export const PAUSE_US = SLOWNESS > 1 ? 20_000 : 0;
