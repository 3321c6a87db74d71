/** `loopwarden uninstall`: takes every filter off and every pin away. Only when no agent runs. */
import { createError, EXIT, type ExitCode, LoopwardenError } from '../errors.js';
import type { ControlClient } from '../web/control-client.js';
import type { Command } from './command.js';

export const uninstall: Command = {
  name: 'uninstall',
  summary:
    'after the agent’s stop: take the filter off every socket, put hidden nodes back and remove all pins',
  async action({ loaded, agent, json, print }): Promise<ExitCode> {
    const { config } = loaded;
    if (await isRunning(agent))
      throw createError('ERR_ALREADY_RUNNING', { trace: `it answers on ${config.api.socket}` });
    const { removeTraces } = await import('../kernel/traces.js');
    const removed = await removeTraces(config.pins.path);
    const { loadNative } = await import('../kernel/native.js');
    const { restoreHiddenNodes } = await import('../node-hiding.js');
    const nodes = restoreHiddenNodes(loadNative(), config.hide.devnode_state);
    print(
      json
        ? { ...removed, nodes }
        : `links and filters taken off: ${removed.links + removed.filters}; pins: ${removed.pins ? 'removed' : 'there were none'}; ${nodes > 0 ? `nodes put back: ${nodes}; ` : ''}nothing is left`,
    );
    return EXIT.ok;
  },
};

async function isRunning(agent: ControlClient): Promise<boolean> {
  try {
    await agent.request('GET', '/api/v1/status');
    return true;
  } catch (error) {
    if (error instanceof LoopwardenError && error.code === 'ERR_AGENT_NOT_RUNNING') return false;
    throw error;
  }
}
