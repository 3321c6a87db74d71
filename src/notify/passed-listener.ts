/** A socket that the service manager listens on for us (sd_listen_fds(3)): so the agent needs no network of its own. */
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createError, reasonOf } from '../errors.js';

export interface PassedListener {
  server: Server;
  address: string;
  port: number;
}

const FIRST_FD = 3;

/**
 * Undefined if none was passed to this process. The variables are taken out of `env`: no child has these descriptors.
 *
 * @throws ERR_PASSED_SOCKET for anything but one TCP socket that listens
 */
export async function takePassedListener(env: NodeJS.ProcessEnv): Promise<PassedListener | undefined> {
  const { LISTEN_FDS: count, LISTEN_PID: pid } = env;
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES']) delete env[name];
  if (count === undefined || Number(pid) !== process.pid) return undefined;
  if (count !== '1')
    throw createError('ERR_PASSED_SOCKET', { reason: `it passes ${count} sockets, and one is taken` });
  const server = createServer();
  try {
    await listenOn(server);
  } catch (error) {
    throw createError('ERR_PASSED_SOCKET', { reason: reasonOf(error) }, { cause: error });
  }
  const where = server.address() as AddressInfo | string | null;
  if (where === null || typeof where === 'string')
    throw createError('ERR_PASSED_SOCKET', { reason: 'it is no TCP socket' });
  return { server, address: where.address, port: where.port };
}

function listenOn(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd: FIRST_FD }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
