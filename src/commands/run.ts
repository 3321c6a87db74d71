/** `loopwarden run`: the agent in the foreground, until SIGTERM or SIGINT. SIGHUP has it open its audit log anew. */
import { once } from 'node:events';
import type { Agent } from '../agent.js';
import type { LoadedConfig } from '../config/load.js';
import { EXIT, type ExitCode } from '../errors.js';
import { takePassedListener } from '../notify/passed-listener.js';
import { createServiceNotifier, type ServiceNotifier } from '../notify/service-notifier.js';
import type { Command } from './command.js';
import { hookTable } from './hook-table.js';

interface Service {
  agent: Agent;
  notifier: ServiceNotifier;
}

/** Loaded only here: the other commands start faster without pino and prom-client. */
async function start(
  loaded: LoadedConfig,
  stop: AbortSignal,
  isLoaded: boolean,
): Promise<Service | undefined> {
  const [{ startAgent }, { createAgentLog }, { loadNative }] = await Promise.all([
    import('../agent.js'),
    import('../sinks/agent-log.js'),
    import('../kernel/native.js'),
  ]);
  const log = createAgentLog({ level: loaded.config.log.level });
  const notifier = createServiceNotifier({
    native: loadNative(),
    env: process.env,
    onError: (reason) => log.warn({ reason }, 'the service manager cannot be told'),
  });
  const listener = await takePassedListener(process.env);
  const agent = await startAgent(loaded, log, stop, { listener, isLoaded });
  return agent && { agent, notifier };
}

export const run: Command = {
  name: 'run',
  summary: 'run the agent in the foreground',
  details: [
    'It ends on SIGTERM and SIGINT. What is hidden stays hidden, and what happens goes on being recorded for the next one.',
    'With --loaded it needs to be root, but of capabilities only CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, and may be in a network namespace of its own: the unit of systemd starts it so.',
  ],
  options: [{ flags: '--loaded', description: 'go on with what loopwarden load has put into the kernel' }],
  examples: [{ words: 'run --filter-mode observe', what: 'only count what would be hidden' }],
  async action({ loaded, json, print, options }): Promise<ExitCode> {
    const stop = new AbortController();
    const stopped = once(stop.signal, 'abort');
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
    let service: Service | undefined;
    // From the start on: it must not end an agent that is not ready for it.
    process.on('SIGHUP', () => void service?.agent.reopenLog());
    service = await start(loaded, stop.signal, options.loaded === true);
    if (service === undefined) return EXIT.ok;
    const { agent, notifier } = service;
    notifier.ready(`filter ${agent.status().filterMode}; ${agent.status().metricsUrl}`);
    // With the audit log on stdout the greeting would be a line that is no record.
    if (loaded.config.audit.path !== '-') print(json ? agent.status() : greeting(agent));
    await stopped;
    notifier.stopping();
    await agent.stop();
    return EXIT.ok;
  },
};

function greeting(agent: Agent): string {
  const { version, filterMode, auditLog, metricsUrl, hooks, receivers } = agent.status();
  const filtered = receivers.find((each) => each.class === 'filtered')?.count ?? 0;
  return [
    `loopwarden ${version} is running`,
    `  audit log  ${auditLog}`,
    `  metrics    ${metricsUrl}/metrics`,
    `  health     ${metricsUrl}/healthz  ${metricsUrl}/readyz`,
    `  hiding     ${HIDING[filterMode]}; ${filtered} uevent ${filtered === 1 ? 'socket' : 'sockets'} filtered`,
    'hooks',
    hookTable(hooks),
  ].join('\n');
}

const HIDING = {
  hide: 'on',
  observe: 'off (filter.mode is observe: counted, not hidden)',
  off: 'off (filter.mode is off)',
};
