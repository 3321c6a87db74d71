/** `loopwarden load`: what of a start takes capabilities, in a process of its own that is over before the agent begins. */
import { EXIT, type ExitCode } from '../errors.js';
import type { Command } from './command.js';
import { hookTable } from './hook-table.js';

export const load: Command = {
  name: 'load',
  summary: 'put the programs into the kernel for an agent that may not: run --loaded',
  details: [
    'Loads, attaches, sees each hook run, and pins. It needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and, where the loop driver is a module, CAP_SYS_ADMIN, and runs in the host’s network namespace. From then on devices are tagged, and what happens is recorded until an agent reads it.',
    'Run again it leaves what is there and of this version as it is. An agent that runs is not disturbed: it refuses.',
  ],
  examples: [{ words: 'load && loopwarden run --loaded', what: 'what the unit of systemd does' }],
  async action({ loaded: { config }, json, print }): Promise<ExitCode> {
    const [{ loadKernelSide, waitUntilLoadable }, { createAgentLog }, { loadNative }] = await Promise.all([
      import('../kernel-loading.js'),
      import('../sinks/agent-log.js'),
      import('../kernel/native.js'),
    ]);
    const stop = new AbortController();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
    const log = createAgentLog({ level: config.log.level });
    const native = loadNative();
    if (!(await waitUntilLoadable(native, log, stop.signal))) return EXIT.no;
    const { report } = await loadKernelSide(native, config, log);
    const { outcomes: hooks, programs } = report;
    print(json ? { hooks, programs } : `loaded, for loopwarden run --loaded\nhooks\n${hookTable(hooks)}`);
    return EXIT.ok;
  },
};
