/** HTTP on the Unix socket that the commands use: everything that changes anything is only here. */

import type { IncomingMessage } from 'node:http';
import { FILTER_MODES } from '../config/schema.js';
import { createError } from '../errors.js';
import type { ControlApi } from './control-api.js';
import { streamEvents } from './event-stream.js';
import { readJsonBody } from './json-body.js';
import { type Handler, type JsonServer, startJsonServer } from './json-server.js';
import type { Route } from './router.js';

export interface ControlServerOptions {
  path: string;
  api: ControlApi;
  onError?: (error: unknown) => void;
}

export type ControlServer = JsonServer;

/** @throws ERR_ALREADY_RUNNING, ERR_SOCKET_PATH */
export function startControlServer({ path, api, onError }: ControlServerOptions): Promise<ControlServer> {
  return startJsonServer({ path, routes: controlRoutes(api), ...(onError && { onError }) });
}

function controlRoutes(api: ControlApi): Route<Handler>[] {
  return [
    { method: 'GET', path: '/api/v1/status', handler: () => api.status() },
    { method: 'GET', path: '/api/v1/devices', handler: () => api.devices() },
    { method: 'GET', path: '/api/v1/devices/:name', handler: ({ params }) => api.device(params.name ?? '') },
    { method: 'GET', path: '/api/v1/activity', handler: () => api.activity() },
    { method: 'GET', path: '/api/v1/receivers', handler: () => api.receivers() },
    { method: 'GET', path: '/api/v1/doctor', handler: () => api.doctor() },
    { method: 'GET', path: '/api/v1/config', handler: () => api.config() },
    {
      method: 'GET',
      path: '/api/v1/events',
      handler: async ({ response, query }) => streamEvents(api, response, query),
    },
    { method: 'POST', path: '/api/v1/devices', handler: ({ request }) => makeDevice(api, request) },
    { method: 'PUT', path: '/api/v1/filter', handler: ({ request }) => setFilter(api, request) },
  ];
}

async function setFilter(api: ControlApi, request: IncomingMessage): Promise<unknown> {
  const { mode } = await readJsonBody(request);
  const known: readonly unknown[] = FILTER_MODES;
  if (!known.includes(mode))
    throw createError('ERR_USAGE', { reason: `mode must be ${FILTER_MODES.join(', ')}` });
  return api.setFilterMode(mode as string);
}

async function makeDevice(api: ControlApi, request: IncomingMessage): Promise<unknown> {
  const { number, userns_inum: inum } = await readJsonBody(request);
  if (!isWord(number) || !isWord(inum))
    throw createError('ERR_USAGE', { reason: 'number and userns_inum must be whole numbers' });
  return api.makeDevice(number, inum);
}

function isWord(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff_ffff;
}
