/** What `loopwarden demo --live` does: the steps one after the other, each told, checked and cleaned up after. */
import { chmodSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createCleanup } from '../cleanup.js';
import type { LoadedConfig } from '../config/assemble.js';
import { type DemoHome, makeHome } from '../demo/home.js';
import { actStep, type LiveOptions, type Narrator } from '../demo/live.js';
import { createLiveAgent, findAgent, type LiveAgent } from '../demo/live-agent.js';
import { LIVE_STEPS, type LiveStep } from '../demo/live-steps.js';
import { run } from '../demo/run.js';
import { startUeventMonitor } from '../demo/uevent-monitor.js';
import { createError, EXIT, type ExitCode, reasonOf } from '../errors.js';
import type { AgentStatus } from '../web/agent-api.js';
import { chooseColors } from './color.js';
import type { CommandContext } from './command.js';
import { wrapText } from './help-text.js';
import { awaitInterruption } from './interruption.js';
import { notice } from './notice.js';
import { plainText } from './plain-text.js';

interface StepReport {
  title: string;
  /** Null: it was left out. */
  ok: boolean | null;
  seen: { ok: boolean; text: string }[];
}

/** Above the numbers of the host and of a loopfs that may be there. */
const FIRST_NUMBER = 60_000;
const TOOLS = ['losetup', 'unshare', 'nsenter', 'udevadm', 'stdbuf'];

export async function showLiveDemo(context: CommandContext): Promise<ExitCode> {
  const { loaded, options, json, print } = context;
  for (const name of ['once', 'speed', 'recording'])
    if (options[name] !== undefined)
      throw createError('ERR_USAGE', { reason: `--${name} is for the recording, not for --live` });
  await checkHost();
  const say = (text: string): void => void (json || print(text));
  const interruption = awaitInterruption();
  const reader = new AbortController();
  const stop = AbortSignal.any([interruption.signal, reader.signal]);
  const release = holdSignals(stop, () => reader.abort());
  const cleanup = createCleanup();
  const reports: StepReport[] = [];
  try {
    const found = await findAgent(loaded.config.api.socket);
    refuseQuiet(found);
    const home = makeHome(loaded, found ? pathsOf(loaded, found) : ownPaths());
    cleanup.add(home.remove);
    home.writeConfig(home.loaded.config.http.port);
    // Images in it are also for containers with ids of their own.
    chmodSync(home.folder, 0o711);
    const agent = createLiveAgent(home, found === undefined);
    say(introduction(found, home));
    await startOwn(agent, cleanup.add, stop);
    const monitor = await startUeventMonitor(stop);
    cleanup.add(() => monitor.stop());
    for (const [at, step] of LIVE_STEPS.entries()) {
      say(heading(context, at, step));
      const narrator = narratorFor(context, say);
      reports.push(
        await runStep(
          step,
          { folder: home.folder, agent, monitor, narrator: narrator.narrator, stop },
          narrator.seen,
        ),
      );
      if (stop.aborted) break;
      if (options.pause === true && at + 1 < LIVE_STEPS.length) await pause(stop, say);
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  } finally {
    interruption.end();
    await cleanup.run();
    release();
  }
  const failed = reports.filter(({ ok }) => ok === false).map(({ title }) => title);
  const ok = failed.length === 0 && !stop.aborted;
  if (json) print({ ok, interrupted: stop.aborted, steps: reports });
  else say(`\n${conclusion(stop.aborted, failed)}`);
  return ok ? EXIT.ok : EXIT.no;
}

/**
 * Once interrupted it cleans up, however often somebody presses Ctrl-C: each thing that is waited for has a limit. A reader of
 * its output that has gone (head) interrupts it, too.
 */
function holdSignals(stop: AbortSignal, onReaderGone: () => void): () => void {
  process.on('SIGPIPE', onReaderGone);
  const hold = () => notice('cleaning up');
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  stop.addEventListener('abort', () => {
    for (const signal of signals) process.on(signal, hold);
  });
  return () => {
    process.removeListener('SIGPIPE', onReaderGone);
    for (const signal of signals) process.removeListener(signal, hold);
  };
}

/** @throws ERR_NOT_ROOT, ERR_DEMO_NEEDS */
async function checkHost(): Promise<void> {
  if (process.geteuid?.() !== 0)
    throw createError('ERR_NOT_ROOT', { action: 'demo --live makes loop devices' });
  for (const tool of TOOLS)
    if ((await run('sh', ['-c', `command -v ${tool}`])).code !== 0)
      throw createError('ERR_DEMO_NEEDS', {
        what: tool,
        remedy: 'install util-linux, udev and coreutils',
      });
  const { code, stderr } = await run('unshare', ['-U', 'true']);
  if (code !== 0)
    throw createError('ERR_DEMO_NEEDS', {
      what: `user namespaces: ${stderr.trim()}`,
      remedy: 'allow them (sysctl user.max_user_namespaces), and run it outside of a chroot',
    });
}

/** Nothing of what it should show would be seen. */
function refuseQuiet(found: AgentStatus | undefined): void {
  if (found === undefined || found.filterMode === 'hide') return;
  throw createError('ERR_DEMO_NEEDS', {
    what: `an agent that hides, and the one that runs is set to ${found.filterMode}`,
    remedy: 'loopwarden filter on',
  });
}

function ownPaths(): Record<string, unknown> {
  return {
    'pins.path': `/sys/fs/bpf/loopwarden-demo-${process.pid}`,
    'http.port': 0,
    'log.level': 'error',
    'loopfs.first_number': FIRST_NUMBER,
  };
}

/** Those of the agent that runs, but for what is the demo's own. */
function pathsOf({ config }: LoadedConfig, { auditLog }: AgentStatus): Record<string, unknown> {
  return {
    'api.socket': config.api.socket,
    'audit.path': auditLog,
    'audit.key_path': config.audit.key_path,
    'pins.path': config.pins.path,
    'log.level': 'error',
    'loopfs.first_number': FIRST_NUMBER,
  };
}

async function startOwn(
  agent: LiveAgent,
  undo: (step: () => Promise<void>) => void,
  stop: AbortSignal,
): Promise<void> {
  if (!agent.own) return;
  undo(async () => void (await agent.uninstall()));
  undo(() => agent.end('SIGTERM'));
  await agent.start(stop);
}

async function runStep(step: LiveStep, options: LiveOptions, seen: StepReport['seen']): Promise<StepReport> {
  const { title } = step;
  if (step.ownAgentOnly && !options.agent.own) {
    options.narrator.output('left out: it would stop the agent that runs');
    return { title, ok: null, seen };
  }
  try {
    await actStep(options, step.act);
  } catch (error) {
    if (!options.stop.aborted) options.narrator.seen(false, reasonOf(error));
  }
  return { title, ok: options.stop.aborted ? null : seen.every(({ ok }) => ok), seen };
}

function narratorFor({ options }: CommandContext, say: (text: string) => void) {
  const colors = chooseColors(options.color);
  const seen: StepReport['seen'] = [];
  const narrator: Narrator = {
    command: (where, text) => say(`  ${colors.dim(where.padEnd(9))} ${colors.bold(`# ${plainText(text)}`)}`),
    output(text) {
      for (const line of text.split('\n')) if (line !== '') say(`            ${plainText(line)}`);
    },
    seen(ok, text) {
      seen.push({ ok, text });
      say(`  ${ok ? colors.green('seen') : colors.red('NOT SEEN AS IT SHOULD BE')}: ${plainText(text)}`);
    },
  };
  return { narrator, seen };
}

function introduction(found: AgentStatus | undefined, { folder, configPath }: DemoHome): string {
  return [
    'loopwarden demo --live: on this kernel, with devices, images and containers of its own',
    `  agent      ${found ? `the one that runs (process ${found.pid}); it is neither stopped nor changed` : 'one of the demo’s own, with paths of its own; it is uninstalled at the end'}`,
    `  folder     ${folder}, gone at the end`,
    `  config     ${configPath}: each loopwarden below is run with it, by --config`,
    `  meanwhile  loopwarden events -f --config ${configPath}`,
  ].join('\n');
}

function heading({ options }: CommandContext, at: number, { title, words }: LiveStep): string {
  const colors = chooseColors(options.color);
  return `\n${colors.bold(`${at + 1} of ${LIVE_STEPS.length}  ${title}`)}\n${wrapText(words)}`;
}

/** Until Enter, the end of the input, or the interruption. */
async function pause(stop: AbortSignal, say: (text: string) => void): Promise<void> {
  say('  (Enter: the next step)');
  const lines = createInterface({ input: process.stdin });
  await new Promise<void>((resolve) => {
    for (const event of ['line', 'close']) lines.once(event, () => resolve());
    stop.addEventListener('abort', () => resolve(), { once: true });
  });
  lines.close();
}

function conclusion(interrupted: boolean, failed: readonly string[]): string {
  if (interrupted) return 'interrupted; nothing of it is left';
  if (failed.length > 0)
    return `not as it should be: ${failed.map((title) => `“${title}”`).join(', ')}; nothing of it is left`;
  return 'everything was seen as it should be; nothing of it is left';
}
