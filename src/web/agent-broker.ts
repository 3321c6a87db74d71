/** Devices for containers, made by the agent: it states the owner first, so the host's udev never hears of them. */
import type { DeviceBroker } from '../loopfs/broker.js';
import { createErrnoError, ERRNO } from '../loopfs/errno.js';
import type { ControlClient } from './control-client.js';

/** What needs no owner is done by `kernel`. Without an agent nothing is made: EAGAIN, so that nothing is shown. */
export function createAgentBroker(agent: ControlClient, kernel: DeviceBroker): DeviceBroker {
  return {
    ...kernel,
    async create(owner, number) {
      // The host's own: there is nothing to be stated.
      if (owner === null) return kernel.create(owner, number);
      const errno = await askAgent(agent, owner.inum, number);
      if (errno !== 0) throw createErrnoError(`make loop${number}`, errno);
    },
  };
}

async function askAgent(agent: ControlClient, inum: number, number: number): Promise<number> {
  try {
    const answer = await agent.request('POST', '/api/v1/devices', { number, userns_inum: inum });
    return (answer as { errno: number }).errno;
  } catch (error) {
    throw Object.assign(createErrnoError(`make loop${number}`, ERRNO.EAGAIN), { cause: error });
  }
}
