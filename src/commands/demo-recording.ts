/** What `loopwarden demo` does: plays the recording until it is stopped, and says what there is to see. */
import { basename, relative } from 'node:path';
import { createCleanup } from '../cleanup.js';
import { readBootClock } from '../demo/boot-clock.js';
import { type DemoAgent, startDemoAgent } from '../demo/demo-agent.js';
import type { Recording } from '../demo/frame.js';
import { type DemoHome, makeHome } from '../demo/home.js';
import { play } from '../demo/player.js';
import { OWN_RECORDING, readRecording } from '../demo/read-recording.js';
import { createError, EXIT, type ExitCode, LoopwardenError } from '../errors.js';
import { createAgentLog } from '../sinks/agent-log.js';
import type { CommandContext } from './command.js';
import { awaitInterruption } from './interruption.js';
import { plainText } from './plain-text.js';

/** Of all that it says while it plays, only what goes wrong: the captions are its log. */
const LOG_LEVEL = 'warn';

export async function showRecording({ loaded, options, json, print }: CommandContext): Promise<ExitCode> {
  if (options.pause === true)
    throw createError('ERR_USAGE', { reason: '--pause goes with --live; a recording has no steps' });
  const speed = speedOption(options.speed);
  const once = options.once === true;
  const recording = readRecording(typeof options.recording === 'string' ? options.recording : OWN_RECORDING);
  const interruption = awaitInterruption();
  const cleanup = createCleanup();
  try {
    const home = makeHome(loaded);
    cleanup.add(home.remove);
    const agent = await start(recording, home, loaded.origins['http.port'] === 'default');
    cleanup.add(agent.stop);
    const url = agent.status().metricsUrl;
    home.writeConfig(Number(new URL(url).port));
    print(json ? placesOf(home, url) : greeting(recording, home, url, once));
    await play(recording, {
      speed,
      once,
      stop: interruption.signal,
      bootNow: () => readBootClock().bootNs,
      async onFrame(frame, pass) {
        await agent.onFrame(frame, pass);
        if (frame.caption !== undefined && !json) print(`${clock()}  ${plainText(frame.caption)}`);
      },
    });
    return EXIT.ok;
  } finally {
    interruption.end();
    await cleanup.run();
  }
}

/** Beside an agent that has the usual port another one will do, unless somebody asked for it. */
async function start(recording: Recording, home: DemoHome, anyPort: boolean): Promise<DemoAgent> {
  const log = createAgentLog({ level: LOG_LEVEL });
  try {
    return await startDemoAgent(recording, home.loaded, log);
  } catch (error) {
    if (!anyPort || !(error instanceof LoopwardenError) || error.code !== 'ERR_PORT_IN_USE') throw error;
    const { config, origins } = home.loaded;
    return startDemoAgent(
      recording,
      { config: { ...config, http: { ...config.http, port: 0 } }, origins },
      log,
    );
  }
}

function speedOption(text: unknown): number {
  if (text === undefined) return 1;
  const speed = typeof text === 'string' && /^\d{1,3}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (speed >= 0.1 && speed <= 100) return speed;
  throw createError('ERR_USAGE', { reason: `--speed is a number from 0.1 to 100, not "${String(text)}"` });
}

function placesOf({ folder, configPath, loaded }: DemoHome, url: string) {
  const { api, audit } = loaded.config;
  return { demo: true, url, folder, config: configPath, socket: api.socket, auditLog: audit.path };
}

function greeting({ header, frames }: Recording, home: DemoHome, url: string, once: boolean): string {
  const seconds = Math.round(Number((frames.at(-1)?.atNs ?? 0n) - (frames[0]?.atNs ?? 0n)) / 1e9);
  const { folder, configPath, loaded } = home;
  const words = (rest: string): string => `  ${commandName()} ${rest} --config ${configPath}`;
  return [
    'loopwarden demo: a recording plays; nothing of this host is watched, hidden or changed',
    `  recorded   on Linux ${plainText(header.kernel)}, ${seconds} s${once ? '' : ', again and again until Ctrl-C'}`,
    `  page       ${url}`,
    `  metrics    ${url}/metrics`,
    `  audit log  ${loaded.config.audit.path}`,
    `  folder     ${folder}, gone at the end`,
    'in a second terminal',
    words('devices'),
    words('events --failed'),
    words('events -f'),
    words('explain loop1'),
    words('top'),
    words('audit verify'),
    `  ${commandName()} devices --socket ${loaded.config.api.socket}`,
    '',
  ].join('\n');
}

/** As it was called just now. */
function commandName(): string {
  const path = process.argv[1] ?? '';
  if (basename(path) === 'loopwarden') return 'loopwarden';
  const near = relative(process.cwd(), path);
  return near.startsWith('..') ? path : near;
}

function clock(): string {
  return new Date().toTimeString().slice(0, 8);
}
