/** The agent of a live demo: the one that runs, which is only asked, or one of the demo's own, with paths of its own. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { LoopwardenError } from '../errors.js';
import { PACKAGE_ROOT } from '../kernel/paths.js';
import type { AgentStatus } from '../web/agent-api.js';
import { createControlClient } from '../web/control-client.js';
import type { DemoHome } from './home.js';
import { type Background, type Outcome, run, startBackground } from './run.js';
import { eventually } from './wait.js';

const MAIN = join(PACKAGE_ROOT, 'dist/main.js');
const START_MS = 60_000;

export interface LiveAgent {
  /** False: it was there before. */
  readonly own: boolean;
  status(): Promise<AgentStatus>;
  /** `loopwarden …` with the config of the demo. */
  command(words: readonly string[], stop?: AbortSignal): Promise<Outcome>;
  /** A `loopwarden …` that goes on. */
  serve(words: readonly string[]): Promise<Background>;
  /** Of its own agent only. */
  start(stop: AbortSignal): Promise<void>;
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** After the agent's end. @throws with what it said if it fails */
  uninstall(): Promise<string>;
}

/** What the agent says of itself; undefined: none answers there. @throws what the client does for other reasons */
export async function findAgent(socket: string): Promise<AgentStatus | undefined> {
  try {
    return (await createControlClient(socket).request('GET', '/api/v1/status')) as AgentStatus;
  } catch (error) {
    if (error instanceof LoopwardenError && error.code === 'ERR_AGENT_NOT_RUNNING') return undefined;
    throw error;
  }
}

export function createLiveAgent({ configPath, loaded }: DemoHome, own: boolean): LiveAgent {
  const { socket } = loaded.config.api;
  const client = createControlClient(socket);
  let running: Background | undefined;
  const words = (rest: readonly string[]): string[] => [MAIN, ...rest, '--config', configPath];

  return {
    own,
    status: async () => (await client.request('GET', '/api/v1/status')) as AgentStatus,
    command: (rest, stop) =>
      run(process.execPath, words(rest), { env: environment(), ...(stop && { stop }) }),
    serve: (rest) => startBackground(process.execPath, words(rest), environment()),
    async start(stop) {
      const agent = await startBackground(process.execPath, words(['run']), environment());
      running = agent;
      await eventually(
        'the agent answers',
        async () => {
          if (agent.child.exitCode !== null) throw new Error(agent.stderr().trim());
          return findAgent(socket);
        },
        { limitMs: START_MS, stop },
      );
    },
    async end(signal) {
      await running?.stop(signal);
      running = undefined;
    },
    async uninstall() {
      const { code, stdout, stderr } = await run(process.execPath, words(['uninstall']), {
        env: environment(),
      });
      if (code !== 0) throw new Error(stderr.trim());
      // Of one that was killed; nobody answers there any more.
      rmSync(socket, { force: true });
      return stdout.trim();
    },
  };
}

/** The demo's config says it all: a variable would say otherwise. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('LOOPWARDEN_')));
}
