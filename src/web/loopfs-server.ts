/** HTTP on the socket of loopfs: instances made, placed, listed, ended. */
import { createError } from '../errors.js';
import { parseInstanceName, parseInstanceRequest } from '../loopfs/instance-request.js';
import type { Registry } from '../loopfs/registry.js';
import { readJsonBody } from './json-body.js';
import { type Exchange, type Handler, type JsonServer, startJsonServer } from './json-server.js';
import type { Route } from './router.js';

export interface LoopfsServerOptions {
  path: string;
  /** Settles when what an earlier process left has been taken over; requests wait for it. */
  registry: Promise<Registry>;
  onError: (error: unknown) => void;
}

/** @throws ERR_ALREADY_RUNNING, ERR_SOCKET_PATH */
export function startLoopfsServer({ path, registry, onError }: LoopfsServerOptions): Promise<JsonServer> {
  return startJsonServer({ path, routes: loopfsRoutes(registry), onError });
}

const INSTANCES = '/api/v1/instances';

function loopfsRoutes(registry: Promise<Registry>): Route<Handler>[] {
  const nameOf = ({ params }: Exchange): string => parseInstanceName(params.name);
  return [
    { method: 'GET', path: '/api/v1/statistics', handler: async () => (await registry).statistics() },
    { method: 'GET', path: INSTANCES, handler: async () => (await registry).list() },
    {
      method: 'POST',
      path: INSTANCES,
      handler: async ({ request }) =>
        (await registry).create(parseInstanceRequest(await readJsonBody(request))),
    },
    {
      method: 'GET',
      path: `${INSTANCES}/:name`,
      handler: async (exchange) => (await registry).get(nameOf(exchange)),
    },
    {
      method: 'DELETE',
      path: `${INSTANCES}/:name`,
      handler: async (exchange) => (await registry).detach(nameOf(exchange)),
    },
    {
      method: 'POST',
      path: `${INSTANCES}/:name/attach`,
      handler: async (exchange) => {
        const body = await readJsonBody(exchange.request);
        return (await registry).attach(nameOf(exchange), pidOf(body), rootOf(body));
      },
    },
  ];
}

function pidOf({ pid }: Record<string, unknown>): number {
  if (Number.isInteger(pid) && (pid as number) > 0 && (pid as number) < 2 ** 31) return pid as number;
  throw createError('ERR_USAGE', { reason: 'pid must be the number of a process' });
}

function rootOf({ root }: Record<string, unknown>): string | undefined {
  if (root === undefined) return undefined;
  if (typeof root === 'string' && /^\/[^\0]{0,4094}$/.test(root)) return root;
  throw createError('ERR_USAGE', { reason: 'root must be an absolute path' });
}
